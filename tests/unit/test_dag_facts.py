"""What people see of a DAG, from its message."""

import pytest
from google.protobuf import text_format

from crosswind.manifest.v1 import dag_pb2
from crosswind_server.rpc.dag_facts import facts_of

ORDERS, USERS, FLIGHTS = (f'conditions {{ asset {{ name: "{name}" }} }}' for name in ("orders", "users", "flights"))


@pytest.mark.parametrize(
    ("schedule", "shown"),
    [
        ('cron { expression: "0 6 * * *" }', "0 6 * * *"),
        ('cron { expression: "0 6 * * *" time_zone: "Europe/Berlin" }', "0 6 * * * Europe/Berlin"),
        ("interval { interval { seconds: 5400 } }", "every 1:30:00"),
        ("once {}", "once"),
        ("events { times {} times { seconds: 1 } }", "2 listed times"),
        ('timetable { entry_point: "workdays" }', "timetable: workdays"),
        ('assets { condition { asset { name: "orders" } } }', "assets: orders"),
        (f"assets {{ condition {{ all {{ {ORDERS} {USERS} }} }} }}", "assets: orders and users"),
        (f"assets {{ condition {{ any {{ {ORDERS} {USERS} }} }} }}", "assets: orders or users"),
        (
            f"assets {{ condition {{ all {{ {ORDERS} conditions {{ any {{ {USERS} {FLIGHTS} }} }} }} }} }}",
            "assets: orders and (users or flights)",
        ),
        (
            f'assets {{ condition {{ any {{ {ORDERS} }} }} or_cron {{ expression: "@daily" time_zone: "UTC" }} }}',
            "assets: orders, or at @daily UTC",
        ),
    ],
)
def test_a_schedule_is_shown_as_it_decides(schedule: str, shown: str) -> None:
    dag = text_format.Parse(f'dag_id: "d" schedule {{ {schedule} }}', dag_pb2.Dag())
    assert facts_of(shown, dag.SerializeToString()).schedule == shown

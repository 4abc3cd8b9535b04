"""What an idle server costs: one probe a look, which reads no more of a large database than of a small. [SCHED-2]"""

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects import postgresql

from crosswind_server.store import due, timers
from crosswind_server.store.schema import attempt, dag, task_instance, timer, worker
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.clocks import DAY, SECOND, TimedFlow
from tests.store.dags import dag_of, task
from tests.store.flow import counted

SCHEDULES = 10_000
OLD = 3_000
MINUTE = 60 * SECOND


def fill(flow: TimedFlow) -> None:
    """A history, and many schedules that are not due for long."""
    first = flow.register("first")
    flow.publish(dag_of("d", task("a")), to=first)
    flow.trigger("d")
    flow.work_off(first)
    flow.act(lambda uow: flow.heart.workers.deregister(uow, team="default", instance_id=first.instance_id))
    flow.act(_copy_rows)
    moments = {f"default/dag{number}": flow.now + DAY + number for number in range(SCHEDULES)}
    flow.act(lambda uow: timers.put(uow, "schedule", moments))


def _copy_rows(uow: UnitOfWork) -> None:
    for table, key in ((task_instance, "id"), (attempt, "id"), (worker, "instance_id")):
        row = uow.execute(select(table)).one()._mapping
        rows = [{**row, key: str(uuid.uuid4())} for _ in range(OLD)]
        if table is task_instance:
            rows = [{**each, "map_index": number} for number, each in enumerate(rows)]
        uow.execute(insert(table), rows)


def rows_read(flow: TimedFlow) -> int:
    """How much one probe reads: rows of PostgreSQL's scans, or instructions of SQLite's machine."""

    def on_postgres(uow: UnitOfWork) -> int:
        dialect = postgresql.dialect()
        probe = due._PROBE.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        plan = uow.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {probe}")).scalar_one()
        plan = json.loads(plan) if isinstance(plan, str) else plan
        return sum(
            round(node["Actual Rows"] * node["Actual Loops"]) + node.get("Rows Removed by Filter", 0)
            for node in _nodes(plan[0]["Plan"])
            if "Scan" in node["Node Type"]
        )

    def on_sqlite(uow: UnitOfWork) -> int:
        due.probe(uow)
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        uow._driver_connection.set_progress_handler(step, 1)
        due.probe(uow)
        uow._driver_connection.set_progress_handler(None, 1)
        return steps

    return flow.store.read_blocking(on_sqlite if flow.store.kind == "sqlite" else on_postgres)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def test_a_probe_reads_no_more_however_much_there_is(timed: TimedFlow):
    before = rows_read(timed)
    fill(timed)
    assert timed.store.read_blocking(lambda uow: uow.execute(select(func.count()).select_from(timer)).scalar_one()) == (
        SCHEDULES
    )
    after = rows_read(timed)
    if timed.store.kind == "sqlite":
        # A step into the index that holds something now.
        assert after <= before + 20
    else:
        assert after <= 2
        timed.act(lambda uow: [uow.execute(text(f"ANALYZE {each.name}")) for each in (timer, attempt, task_instance)])
        assert rows_read(timed) <= 2


def test_a_minute_without_anything_to_do_is_a_probe_a_look(timed: TimedFlow):
    fill(timed)
    timed.continue_all()
    keeper = timed.heart.timekeeper
    looks = 0

    async def idle(end: int) -> None:
        nonlocal looks
        while timed.clock.now < end:
            pause = await keeper.tick()
            looks += 1
            timed.clock.now += max(1, round(pause * SECOND))

    # The first look tidies up what is tidied hourly.
    asyncio.run(idle(timed.now + 1))
    looks = 0
    with counted(timed.store) as statements:
        asyncio.run(idle(timed.now + MINUTE))
    assert len(statements) == looks
    assert {statement is due._PROBE for statement in statements} == {True}
    assert looks <= MINUTE / SECOND / timed.heart.timing.longest_sleep + 1


def test_a_schedule_is_done_as_soon_as_it_is_due(timed: TimedFlow):
    """The look before sleeps until then, and no longer."""
    fill(timed)
    earliest = timed.now + DAY
    timed.clock.now = earliest - 3 * SECOND
    assert asyncio.run(timed.heart.timekeeper.tick()) <= 3.1
    assert timed.store.read_blocking(lambda uow: uow.execute(select(func.count()).select_from(dag)).scalar_one()) == 1

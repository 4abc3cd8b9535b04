"""SIGKILL of each process at each point of the protocol: no result is lost, none is doubled.

The chain's tasks note every execution in a file. Whatever is killed, each of them succeeds exactly once, its result is
the one that its successor got, and it ran no more often than once and once again for each time that it was lost.
"""

import pytest

from crosswind.execution.v1 import worker_service_pb2
from tests.e2e.support.dags import DagSpec, Does, TaskSpec

POINTS = {
    "lease-sent": ("PollWork", "reply"),
    "before-start": ("StartAttempt", "request"),
    "after-start": ("StartAttempt", "reply"),
    "before-finish": ("FinishAttempt", "request"),
    "after-finish": ("FinishAttempt", "reply"),
}


def noted_chain(notes) -> DagSpec:
    first = TaskSpec("first", does=Does(perform=False, value=7, note=notes))
    second = TaskSpec("second", after=("first",), does=Does(perform=False, value=8, note=notes))
    return DagSpec("noted", (first, second))


@pytest.mark.parametrize("victim", ["server", "worker", "both"])
def test_nothing_is_lost_or_doubled(each_cluster, subtests, victim):
    cluster = each_cluster
    notes = cluster.folder / "notes"
    cluster.write(noted_chain(notes))
    proxy = cluster.proxy()
    worker = cluster.start_worker(through=proxy)
    for point, (method, side) in POINTS.items():
        with subtests.test(point):
            notes.write_text("")
            hold = proxy.hold_request if side == "request" else proxy.hold_reply
            fault = hold(method, which=has_leases if method == "PollWork" else None, drop=True)
            run = cluster.control.trigger("noted")
            fault.wait_reached()
            if victim in ("worker", "both"):
                worker.kill9()
            if victim in ("server", "both"):
                cluster.server.kill9()
            fault.release()
            if victim in ("server", "both"):
                cluster.server.start()
            if victim in ("worker", "both"):
                worker.start()
            assert cluster.control.wait_run("noted", run) == "SUCCEEDED"
            assert cluster.control.xcom("noted", run, "first") == b"7"
            executions = [line.split()[0] for line in notes.read_text().splitlines()]
            for task in ("first", "second"):
                states = cluster.control.attempt_states("noted", run, task)
                assert states.count("SUCCEEDED") == 1
                assert set(states) <= {"SUCCEEDED", "LOST", "RETURNED"}
                if victim == "server":
                    assert "LOST" not in states
                assert 1 <= executions.count(task) <= 1 + states.count("LOST")
            # At each of these points the first task has either not begun, or ended with an outcome that survives.
            assert executions.count("first") == 1


@pytest.mark.parametrize("side", ["request", "reply"])
def test_task_killed_within_a_call_has_failed_once(each_cluster, side):
    cluster = each_cluster
    cluster.write(DagSpec("caller", (TaskSpec("work", retries=1),)))
    proxy = cluster.proxy()
    cluster.start_worker(through=proxy)
    run = cluster.control.trigger("caller")
    fault = proxy.hold_request("SetVariable") if side == "request" else proxy.hold_reply("SetVariable")
    puppet = cluster.stage.enter("work")
    puppet.begin("set_variable", key="once", value="1")
    fault.wait_reached()
    puppet.kill9()
    again = cluster.stage.enter("work")
    fault.release()
    again.succeed(1)
    assert cluster.control.wait_run("caller", run) == "SUCCEEDED"
    assert cluster.control.attempt_states("caller", run, "work") == ["FAILED", "SUCCEEDED"]


def has_leases(reply: bytes) -> bool:
    """Whether a poll's reply brings work."""
    return bool(worker_service_pb2.PollWorkResponse.FromString(reply).leases)

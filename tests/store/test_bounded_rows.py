"""No transaction touches more than a fixed number of rows, however large what it is about is: big stories, in which every
transaction is counted. [SCHED-1]"""

from collections.abc import Iterator
from typing import Any

import pytest

from crosswind_server.services.flow.board import PIECE
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.dags import dag_of, mapped, reading, task
from tests.store.flow import Flow, Worker
from tests.store.interventions import cancel_task, clear, mark, mark_run

MOST = 5 * PIECE
"""A piece of instances may bring for each of them a few rows of other kinds: an attempt, values, a timer."""
LARGE = 2_000


@pytest.fixture
def largest(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The rows that each transaction of the store wrote; none may be more than the bound."""
    written: list[int] = []
    done = UnitOfWork.committed

    def note(uow: UnitOfWork) -> None:
        if uow._connection.engine is flow.store._driver.engine:
            written.append(uow.rows)
        done(uow)

    monkeypatch.setattr(UnitOfWork, "committed", note)
    yield written
    assert max(written) <= MOST


def run_all(flow: Flow, worker: Worker, **fields: Any) -> int:
    """Take, start and finish all there is, a few in a transaction as real workers do; answers how many there were."""
    count = 0
    while leases := flow.take(worker, max_leases=200):
        for lease in leases:
            flow.run(lease, worker, **fields)
        count += len(leases)
        flow.continue_all()
    return count


def test_a_run_of_many_tasks_is_made_begun_stopped_cleared_and_marked(flow: Flow, largest: list[int]):
    worker = flow.register(slots=300)
    wide = [task(f"w{n}", "first") for n in range(LARGE)]
    flow.publish(dag_of("d", task("first"), *wide, task("last", *(each.task_id for each in wide[:300]))), to=worker)
    largest.clear()  # a version has as many rows as its manifest says, which is one message
    run = flow.trigger("d")
    flow.continue_all()
    mark(flow, run, "first", "succeeded")
    flow.continue_all()
    assert flow.row_of_run(run).unfinished == LARGE + 1
    flow.cancel(run)
    flow.continue_all()
    assert flow.run_state(run) == "cancelled"
    assert clear(flow, run).count == LARGE + 2
    flow.continue_all()
    mark(flow, run, "first", "failed")
    flow.continue_all()
    assert flow.run_state(run) == "failed"
    clear(flow, run, only_failed=True)
    flow.continue_all()
    mark_run(flow, run, "succeeded")
    flow.continue_all()
    assert flow.run_state(run) == "succeeded"
    # One that is cleared while its DAG is paused has all of it released when it begins.
    flow.pause("d", True)
    clear(flow, run)
    flow.continue_all()
    mark(flow, run, "first", "succeeded")
    flow.continue_all()
    assert flow.take(worker) == []
    flow.pause("d", False)
    flow.continue_all()
    assert run_all(flow, worker) == LARGE + 1
    assert flow.run_state(run) == "succeeded"
    assert max(largest) > PIECE, "the pieces are as large as they may be"


def test_a_large_mapping_is_expanded_run_cleared_marked_and_cancelled(flow: Flow, largest: list[int]):
    worker = flow.register(slots=300)
    many = mapped(task("m"), list(range(LARGE)))
    flow.publish(dag_of("d", many, reading(task("sum"), "m")), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    assert run_all(flow, worker, result=["a", "b"]) == LARGE + 1
    assert flow.run_state(run) == "succeeded"
    # All their values are deleted.
    assert clear(flow, run).count == LARGE + 2
    flow.continue_all()
    mark(flow, run, "m", "failed")
    flow.continue_all()
    assert flow.instance(run, "m").state == "failed"
    clear(flow, run, only_failed=True)
    flow.continue_all()
    cancel_task(flow, run, "m")
    flow.continue_all()
    assert flow.instance(run, "m").state == "cancelled"
    clear(flow, run)
    flow.continue_all()
    flow.cancel(run)
    flow.continue_all()
    assert flow.run_state(run) == "cancelled"


def test_a_reference_is_pinned_for_all_of_a_run_in_pieces(flow: Flow, largest: list[int]):
    first, second = flow.register("w1", slots=300), flow.register("w2", slots=300)
    far = mapped(task("m"), list(range(LARGE)))
    far.reference.bundle, far.reference.entry_point = "other", "Load"
    flow.publish(dag_of("d", far), to=flow.register("w0"))
    for worker, version in ((first, "v1"), (second, "v2")):
        flow.publish(to=worker, bundle="other", version=version, offers=["Load"])
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(first, max_leases=1)
    # What is not pinned yet is given to nobody, so that nobody pins it otherwise.
    assert flow.take(second, max_leases=9) == []
    flow.run(lease, first)
    flow.continue_all()
    assert flow.take(second, max_leases=9) == []
    assert run_all(flow, first) == LARGE - 1
    assert flow.run_state(run) == "succeeded"

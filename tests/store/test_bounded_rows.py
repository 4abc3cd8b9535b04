"""No transaction writes more than a fixed number of rows, however large what it is about is: large stories, in which
the rows of every transaction are counted. [SCHED-1]"""

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert

from crosswind_server.domain.arguments import RETURN_VALUE
from crosswind_server.domain.lifecycle import Event
from crosswind_server.services import requests
from crosswind_server.services.execution.attempts import FinishAttempt, StartAttempt
from crosswind_server.services.flow.board import PIECE
from crosswind_server.store.schema import answered_request
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.dags import dag_of, mapped, reading, stored, task
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


def run_all(flow: Flow, worker: Worker, *, result: Any = None) -> int:
    """Take, start and finish all there is, a hundred in a transaction as group commit does; answers how many those
    were."""
    count = 0
    attempts = flow.heart.attempts
    values = () if result is None else ((RETURN_VALUE, stored(result)),)
    while leases := flow.take(worker, max_leases=100):
        starts = [
            StartAttempt(attempt_id=each.attempt_id, lease=each.lease, instance_id=worker.instance_id)
            for each in leases
        ]
        ends = [
            FinishAttempt(
                attempt_id=each.attempt_id,
                lease=each.lease,
                outcome_id=str(uuid.uuid4()),
                event=Event.FINISH_SUCCEEDED,
                values=values,
            )
            for each in leases
        ]
        flow.act(partial(attempts.start, commands=starts))
        flow.act(partial(attempts.finish, commands=ends))
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


def test_old_answers_are_forgotten_in_pieces(flow: Flow, largest: list[int]):
    old = {"team": "default", "method": "m", "request_sha256": b"", "response_message": b"", "created_time": 1}
    for first in (0, 600):
        rows = [{**old, "request_id": str(first + number)} for number in range(600)]
        flow.act(partial(UnitOfWork.execute, statement=insert(answered_request), parameters=rows))
    assert [flow.act(lambda uow: requests.forget_old_answers(uow)) for _ in range(4)] == [500, 500, 200, 0]

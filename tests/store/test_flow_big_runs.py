"""Large runs are made, begun, skipped, moved and ended in pieces, and a finish costs its out-degree."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.store.schema import dag_run
from tests.store.dags import dag_of, task
from tests.store.flow import Flow, Worker, counted
from tests.store.interventions import cancel_task, check_counts, mark

SHORT = task_pb2.TASK_KIND_SHORT_CIRCUIT
DONE = task_pb2.TRIGGER_RULE_ALL_DONE
BESIDES = 5
"""Rows beside those of the instances that a piece is about: summaries, the run."""


@dataclass
class Touched:
    """The most rows of task instances that one transaction had on its board, and how many transactions there were."""

    most: int = 0
    boards: set[int] = field(default_factory=set)
    kept: list[Board] = field(default_factory=list)


@contextmanager
def touching() -> Iterator[Touched]:
    """Watch what transactions read, change and add meanwhile."""
    touched = Touched()
    flush = Board.flush

    def look(board: Board) -> None:
        flush(board)
        touched.most = max(touched.most, len(board.instances))
        if id(board) not in touched.boards:
            touched.boards.add(id(board))
            touched.kept.append(board)  # so that no other gets its id

    Board.flush = look  # type: ignore[method-assign,assignment]  # a spy, for as long as it watches
    try:
        yield touched
    finally:
        Board.flush = flush  # type: ignore[method-assign]  # as it was


def wide(flow: Flow, *tasks: task_pb2.Task, count: int, version: str = "v1", **fields: Any) -> Worker:
    """A DAG of many tasks without upstream, beside others."""
    worker = flow.register(slots=2_000)
    many = [task(f"t{n:05}") for n in range(count)]
    flow.publish(dag_of("d", *tasks, *many, **fields), to=worker, version=version)
    return worker


def test_a_large_run_is_made_in_pieces_and_nothing_begins_before_the_last(flow: Flow):
    worker = wide(flow, count=1_200)
    with touching() as touched:
        run = flow.trigger("d")
        row = flow.row(dag_run, run)
        assert (row.state, row.unmade, row.unfinished, row.start_time) == ("queued", 700, 500, None)
        assert set(flow.states(run).values()) == {"waiting"}
        assert flow.take(worker) == []
        flow.continue_all()
    assert touched.most <= PIECE
    row = flow.row(dag_run, run)
    assert (row.state, row.unmade, row.unfinished) == ("running", 0, 1_200)
    assert list(flow.states(run).values()) == ["queued"] * 1_200


def test_the_first_tasks_of_a_large_run_are_judged_in_pieces(flow: Flow):
    wide(flow, task("end", *(f"t{n:05}" for n in range(1_200))), count=1_200)
    run = flow.trigger("d")
    queued = []
    while flow.continue_one() or flow.ring():
        queued.append(list(flow.states(run).values()).count("queued"))
    assert [number for number in dict.fromkeys(queued) if number] == [500, 1_000, 1_200]


def test_a_run_of_one_piece_is_one_transaction(flow: Flow):
    wide(flow, count=500)
    run = flow.trigger("d")
    assert set(flow.states(run).values()) == {"queued"}
    assert flow.left_behind() == 0


@pytest.mark.parametrize(("end", "then"), [("succeeded", "queued"), ("cancelled", "upstream_failed")])
def test_what_is_made_after_a_person_ended_its_upstream_task_counts_that(flow: Flow, end: str, then: str):
    worker = flow.register(slots=2_000)
    tasks = [task(f"t{n:05}") for n in range(600)]
    flow.publish(dag_of("d", *tasks, task("next", "t00000"), task("last", "next")), to=worker)
    run = flow.trigger("d")
    assert flow.row(dag_run, run).unmade == 102
    if end == "cancelled":
        cancel_task(flow, run, "t00000")
    else:
        mark(flow, run, "t00000", end)
    assert flow.take(worker) == []
    flow.continue_all()
    states = flow.states(run)
    assert (states["t00000"], states["next"], states["last"]) == (end, then, "waiting" if then == "queued" else then)
    check_counts(flow, run)
    flow.work_off(worker)
    assert flow.run_state(run) == ("succeeded" if end == "succeeded" else "failed")


def test_a_run_that_is_cancelled_before_all_is_made_ends(flow: Flow):
    wide(flow, count=1_200)
    run = flow.trigger("d")
    flow.cancel(run)
    flow.continue_all()
    row = flow.row(dag_run, run)
    assert (row.state, row.unfinished) == ("cancelled", 0)
    assert list(flow.states(run).values()) == ["cancelled"] * 500
    assert flow.left_behind() == 0


def test_a_deep_and_wide_cascade_touches_a_bounded_number_of_rows_a_transaction(flow: Flow):
    worker = flow.register()
    levels = [[task(f"l0_{n}", "check") for n in range(700)]]
    for level in (1, 2):
        levels.append([task(f"l{level}_{n}", f"l{level - 1}_{n}", trigger_rule=DONE) for n in range(700)])
    flow.publish(dag_of("d", task("check", kind=SHORT), *(each for one in levels for each in one)), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(worker)
    flow.start(lease, worker)
    with touching() as touched:
        flow.finish(lease, skip_all=True)
        flow.continue_all()
    assert touched.most <= 2 * PIECE + BESIDES
    assert set(flow.states(run).values()) == {"succeeded", "skipped"}
    assert flow.run_state(run) == "succeeded"


def test_a_failure_that_fans_out_touches_a_bounded_number_of_rows_a_transaction(flow: Flow):
    worker = flow.register()
    first = [task(f"a{n}", "top") for n in range(900)]
    second = [task(f"b{n}", *(f"a{k}" for k in range(n, n + 3))) for n in range(890)]
    flow.publish(dag_of("d", task("top"), *first, *second), to=worker)
    run = flow.trigger("d")
    flow.continue_all()
    (lease,) = flow.take(worker)
    with touching() as touched:
        flow.run(lease, worker, "failed")
        flow.continue_all()
    assert touched.most <= 2 * PIECE + BESIDES
    assert set(flow.states(run).values()) == {"failed", "upstream_failed"}


def test_a_run_that_lost_its_version_follows_in_pieces(flow: Flow):
    worker = wide(flow, count=1_200)
    run = flow.trigger("d")
    flow.continue_all()
    newer = flow.register("newer", slots=2_000)
    many = [task(f"t{n:05}") for n in range(1_199)]
    flow.publish(dag_of("d", *many, task("more")), to=newer, version="v2")
    with touching() as touched:
        flow.deregister(worker)
        assert flow.left_behind() == 1
        flow.continue_all()
    assert touched.most <= PIECE + BESIDES
    states = list(flow.states(run).values())
    assert (states.count("queued"), states.count("failed")) == (1_199, 1)
    assert b"crosswind.TaskRemoved" in flow.instance(run, "t01199").failure_message
    assert len(flow.take(newer)) == 500


def test_a_large_run_whose_dag_says_fail_fails_in_pieces(flow: Flow):
    worker = wide(flow, count=700, version_policy=dag_pb2.VERSION_POLICY_FAIL)
    run = flow.trigger("d")
    flow.continue_all()
    newer = flow.register("newer")
    flow.publish(dag_of("d", task("other"), version_policy=dag_pb2.VERSION_POLICY_FAIL), to=newer, version="v2")
    flow.deregister(worker)
    flow.continue_all()
    assert set(flow.states(run).values()) == {"failed"}
    assert flow.run_state(run) == "failed"


def test_a_finish_costs_its_out_degree_in_ten_thousand_tasks_as_in_ten(flow: Flow):
    costs = {}
    for size in (10, 10_000):
        worker = flow.register(f"w{size}", slots=1)
        tasks = [
            task("t0", priority=9),
            task("t1", "t0"),
            task("t2", "t0"),
            *(task(f"t{n}", "t1") for n in range(3, size)),
        ]
        flow.publish(dag_of(f"d{size}", *tasks), to=worker, bundle=f"b{size}")
        run = flow.trigger(f"d{size}")
        flow.continue_all()
        (lease,) = flow.take(worker)
        flow.start(lease, worker)
        with counted(flow.store) as statements, touching() as touched:
            flow.finish(lease, result=1)
        costs[size] = (len(statements), touched.most)
        assert (flow.instance(run, "t1").state, flow.instance(run, "t3").state) == ("queued", "waiting")
    assert costs[10] == costs[10_000]
    assert costs[10][1] == 3

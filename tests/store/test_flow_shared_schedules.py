"""Two servers on one PostgreSQL share what is due: each run is created once and begins once, and either may die."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from crosswind.manifest.v1 import schedule_pb2
from crosswind_server.services.flow import active_runs
from crosswind_server.services.runs import backfills
from crosswind_server.services.runs.backfills import CreateBackfill
from crosswind_server.store.schema import dag_run, timer
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.clocks import DAY, HOUR, SECOND, TimedFlow, at, timed_flow
from tests.store.dags import dag_of, task
from tests.store.flow import TEAM

HOURLY = schedule_pb2.Schedule(interval=schedule_pb2.IntervalSchedule(interval=Duration(seconds=3600)))
DAGS = 150


@pytest.fixture
def servers(migrated_postgres_url: str) -> Iterator[tuple[TimedFlow, TimedFlow]]:
    """Two servers over one database, whose clocks say the same."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(timed_flow(migrated_postgres_url)),
            stack.enter_context(timed_flow(migrated_postgres_url)),
        )


def together(servers: tuple[TimedFlow, TimedFlow], work: Callable[[TimedFlow], None]) -> None:
    """Let both work at the same time."""
    gate = threading.Barrier(2)
    problems: list[BaseException] = []

    def run(flow: TimedFlow) -> None:
        try:
            gate.wait(30)
            work(flow)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(flow,)) for flow in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert problems == []


def runs(flow: TimedFlow) -> list[tuple[str, str, str]]:
    query = select(dag_run.c.dag_id, dag_run.c.run_id, dag_run.c.state)
    return [tuple(row) for row in flow.store.read_blocking(lambda uow: uow.execute(query).all())]


def ring_until_nothing_is_due(flow: TimedFlow) -> None:
    """Ring, also where the other has locked all that is due just now."""
    due = select(timer.c.kind).where(timer.c.due_time <= flow.now)
    while flow.ring() or flow.store.read_blocking(lambda uow: uow.execute(due).first()):
        pass


def publish(flow: TimedFlow, number: int = DAGS, **fields: object) -> None:
    worker = flow.register(slots=1_000)
    flow.publish(*(dag_of(f"d{n}", task("a"), schedule=HOURLY, **fields) for n in range(number)), to=worker)


def test_both_create_runs_and_each_is_there_once(servers: tuple[TimedFlow, TimedFlow]):
    one, other = servers
    publish(one)
    rung: Counter[str] = Counter()

    def work(flow: TimedFlow) -> None:
        ring_until_nothing_is_due(flow)
        rung["done"] += 1

    for _ in range(3):
        together(servers, work)
        one.clock.now += HOUR
        other.clock.now = one.clock.now
    assert rung["done"] == 6
    found = runs(one)
    assert len(found) == len(set(found)) == 3 * DAGS
    assert {state for _, _, state in found} == {"running"}


class Died(Exception):
    """Stands for the end of a server in the middle of a transaction."""


def test_what_one_had_begun_when_it_died_the_other_does(servers: tuple[TimedFlow, TimedFlow]):
    one, other = servers
    publish(one, 3)

    def die(uow: UnitOfWork) -> None:
        assert one.heart.timekeeper.ring(uow, None) == 3
        raise Died

    with pytest.raises(Died):
        one.act(die)
    assert runs(other) == []
    ring_until_nothing_is_due(other)
    assert len(runs(other)) == 3


def test_the_bound_holds_when_both_look_for_runs_to_begin(servers: tuple[TimedFlow, TimedFlow]):
    one, other = servers
    worker = one.register(slots=1_000)
    one.publish(dag_of("d", task("a"), max_active_runs=3), to=worker)
    for number in range(30):
        one.trigger("d", run_id=f"r{number}")
    most = 0
    while leases := one.take(worker):
        most = max(most, len([state for _, _, state in runs(one) if state == "running"]))
        one.run(leases[0], worker)
        for lease in leases[1:]:
            other.run(lease, worker)
        together(servers, ring_until_nothing_is_due)
        # What the one had locked is looked at again a moment later.
        one.clock.now += SECOND
        other.clock.now = one.clock.now
        together(servers, ring_until_nothing_is_due)
    assert most == 3
    assert Counter(state for _, _, state in runs(one)) == {"succeeded": 30}


def test_a_backfill_that_both_work_off_creates_each_run_once(servers: tuple[TimedFlow, TimedFlow]):
    one, _ = servers
    publish(one, 1)
    start = at("2026-02-01T00:00")
    command = CreateBackfill(team=TEAM, dag_id="d0", start=start, end=start + 2 * DAY, max_active_runs=100)
    one.act(lambda uow: one.heart.backfills.create(uow, command))
    together(servers, ring_until_nothing_is_due)
    found = [run for run in runs(one) if run[1].startswith(backfills.BACKFILL)]
    assert len(found) == len(set(found)) == 48
    assert active_runs.MOST >= 48

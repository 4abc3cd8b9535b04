"""A DAG run driven by hand: a worker's calls made one by one against the services, over a real store.

Here belong asking for work, starting, finishing, and letting time pass; DAGs are made in `dags`. Time passes by moving
due times in the database into the past, so nothing sleeps.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import select, true, update

from crosswind.execution.v1.lease_pb2 import Resumption
from crosswind.manifest.v1 import dag_pb2
from crosswind_server import manifests
from crosswind_server.domain.arguments import RETURN_VALUE
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.services.access.callers import Caller, CallerKind
from crosswind_server.services.catalog import dag_listing
from crosswind_server.services.catalog.bundles import Manifest, Offer, OfferResult, PublishBundle, SourceProblem
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import FinishAttempt, Finished, StartAttempt, Wake
from crosswind_server.services.execution.contexts import ResolvedInput, TaskContext
from crosswind_server.services.execution.polling import PollWork, Work
from crosswind_server.services.fleet import pools
from crosswind_server.services.fleet.workers import Heard, Heartbeat, Registered, RegisterWorker
from crosswind_server.services.flow.settlement import FailureFacts
from crosswind_server.services.flow.waiting import Wait
from crosswind_server.services.heart import Heart
from crosswind_server.services.interventions.deliveries import DeliverEvent, deliver
from crosswind_server.services.runs.runs import TriggerRun
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import Handler, each
from crosswind_server.store.schema import attempt, continuation, dag_run, task_instance, worker
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing
from tests.store.dags import decode, failed, json_payload, stored

Q = TypeVar("Q")
R = TypeVar("R")

TEAM = "default"
_MANY: Final = 100
_TOGETHER: Final = 32
ENROLMENT = Caller(team=TEAM, subject="builder", kind=CallerKind.ENROLMENT, token_id="t", bundles=("*",), queues=("*",))


@dataclass
class Worker:
    """A worker that a test plays."""

    name: str
    instance_id: str
    caller: Caller
    polls: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Flow:
    """One server's heart over a store, and the calls of its workers."""

    def __init__(self, store: Store, timing: Timing | None = None) -> None:
        self.store = store
        self.heart = Heart(store, timing or Timing())
        self.versions = itertools.count(1)

    # What is published

    def publish(
        self,
        *dags: dag_pb2.Dag,
        to: Worker,
        bundle: str = "flows",
        version: str | None = None,
        offers: Sequence[str] = (),
        withdrawn: Sequence[tuple[str, str]] = (),
        more: bool = False,
        observed_change: bool = False,
        broken: Sequence[str] = (),
        api_version: str = "2026-12-01",
    ) -> OfferResult:
        """A worker offers a version of a bundle, in which the sources that are named could not be read."""
        offer = Offer(
            bundle=bundle,
            version=version or f"v{next(self.versions)}",
            manifest=Manifest(
                api_version=api_version,
                language="python",
                language_version="3.11",
                sdk_version="0.1.0",
                dags=tuple((each_dag.dag_id, each_dag.SerializeToString(deterministic=True)) for each_dag in dags),
                offered_entry_points=tuple(offers),
                source_errors=tuple(
                    SourceProblem(source=source, line=3, message="The file has a syntax error.") for source in broken
                ),
            ),
            more=more,
        )
        command = PublishBundle(
            caller=to.caller,
            instance_id=to.instance_id,
            offer=offer,
            observed_change=observed_change,
            withdrawn=tuple(withdrawn),
        )
        return self.store.write_blocking(self.heart.publish, command)

    def register(
        self,
        name: str = "w1",
        *,
        slots: int = 16,
        queues: Sequence[str] = (),
        offers: Sequence[Offer] = (),
        instance_id: str | None = None,
        previous: Worker | None = None,
        held: Sequence[str] = (),
        caller: Caller = ENROLMENT,
        api_version: str = "2026-12-01",
        roles: Sequence[str] = ("tasks",),
        labels: Mapping[str, str] | None = None,
    ) -> Worker:
        """A worker announces itself."""
        instance_id = instance_id or str(uuid.uuid4())
        command = RegisterWorker(
            caller=caller,
            name=name,
            instance_id=instance_id,
            language="python",
            language_version="3.11",
            sdk_version="0.1.0",
            api_version=api_version,
            slots=slots,
            host="host",
            address="127.0.0.1:1",
            process_id=1,
            previous_instance_id=previous.instance_id if previous else None,
            held_attempt_ids=tuple(held),
            queues=tuple(queues),
            roles=tuple(roles),
            labels=dict(labels or {}),
            offers=tuple(offers),
        )
        registered: Registered = self.store.write_blocking(self.heart.register, command)
        assert registered.token is None
        who = Caller(
            team=caller.team,
            subject=caller.subject,
            kind=CallerKind.WORKER,
            token_id="w",
            instance_id=instance_id,
            bundles=caller.bundles,
            queues=caller.queues,
            expires_us=2**62,
        )
        return Worker(name, instance_id, who)

    # Work

    def poll(self, worker: Worker, *, held: Sequence[str] = (), **fields: Any) -> Work:
        """One look for work."""
        fields.setdefault("poll_number", next(worker.polls))
        command = PollWork(caller=worker.caller, instance_id=worker.instance_id, held_attempt_ids=tuple(held), **fields)
        return self.store.write_blocking(self.heart.polling.claim, command)

    def take(self, worker: Worker, **fields: Any) -> list[Lease]:
        """The leases of one look, by task and map index."""
        return sorted(self.poll(worker, **fields).leases, key=lambda lease: (lease.task_id, lease.map_index))

    def start(self, lease: Lease, worker: Worker) -> TaskContext:
        """Start an attempt."""
        return self.store.write_blocking(self.heart.attempts.start, _start_of(lease, worker))

    def finish(
        self,
        lease: Lease,
        outcome: str = "succeeded",
        *,
        result: Any = None,
        failure: FailureFacts | None = None,
        outcome_id: str | None = None,
        wake: Wake | None = None,
        next_runs: tuple[ScheduledRun, ...] = (),
        cpu_time_us: int | None = None,
        max_memory_bytes: int | None = None,
        follow: Sequence[str] | None = None,
        skip_all: bool | None = None,
    ) -> Finished:
        """Finish an attempt; `follow` and `skip_all` make it a branch or a short circuit."""
        command = _finish_of(
            lease,
            outcome,
            result,
            outcome_id=outcome_id,
            failure=failure,
            wake=wake,
            next_runs=next_runs,
            cpu_time_us=cpu_time_us,
            max_memory_bytes=max_memory_bytes,
            follow_ids=None if follow is None else tuple(follow),
            skip_all_downstream=skip_all,
        )
        return self.store.write_blocking(self.heart.attempts.finish, command)

    def heartbeat(self, worker: Worker, *leases: Lease) -> Heard:
        """A heartbeat for attempts."""
        named = tuple((lease.attempt_id, lease.lease) for lease in leases)
        command = Heartbeat(caller=worker.caller, instance_id=worker.instance_id, attempts=named)
        return self.store.write_blocking(self.heart.workers.heartbeat, command)

    def run(self, lease: Lease, worker: Worker, outcome: str = "succeeded", **fields: Any) -> TaskContext:
        """Start and finish."""
        context = self.start(lease, worker)
        self.finish(lease, outcome, **fields)
        return context

    def work_off(
        self,
        worker: Worker,
        results: dict[str, Any] | None = None,
        outcomes: dict[str, str] | None = None,
    ) -> dict[tuple[str, int], TaskContext]:
        """Take and run all there is, until nothing comes any more; many as a busy worker's calls are, some at a time.

        A result may be a function of the arguments by name.
        """
        seen: dict[tuple[str, int], TaskContext] = {}
        while leases := self.take(worker):
            size = _TOGETHER if len(leases) > _MANY else 1
            for first in range(0, len(leases), size):
                finishing = []
                together = leases[first : first + size]
                starting = [_start_of(lease, worker) for lease in together]
                for lease, context in zip(together, self._write(self.heart.attempts.start, starting), strict=True):
                    seen[lease.task_id, lease.map_index] = context
                    result = (results or {}).get(lease.task_id)
                    if callable(result):
                        result = result(**arguments(context))
                    finishing.append(_finish_of(lease, (outcomes or {}).get(lease.task_id, "succeeded"), result))
                self._write(self.heart.attempts.finish, finishing)
            self.continue_all()
        return seen

    def _write(self, handler: Handler[Q, R], requests: Sequence[Q]) -> Sequence[R]:
        """What `write_blocking` does for several requests that come at once."""

        def answer(uow: UnitOfWork, several: Sequence[Sequence[Q]]) -> Sequence[list[R] | Exception]:
            results: list[R] = []
            for found in handler(uow, several[0]):
                if isinstance(found, Exception):
                    raise found
                results.append(found)
            return [results]

        return self.store.write_blocking(answer, requests)

    # Runs

    def trigger(self, dag_id: str, **fields: Any) -> str:
        """A run; answers its key."""
        triggered = self.store.write_blocking(self.heart.trigger, TriggerRun(team=TEAM, dag_id=dag_id, **fields))
        return triggered.key

    def cancel(self, run_key: str) -> None:
        """Cancel a run."""
        row = self.row(dag_run, run_key)
        names = {"team": TEAM, "dag_id": row.dag_id, "run_id": row.run_id}
        self.store.write_blocking(each(lambda uow, _: self.heart.runs.cancel(uow, **names)), None)

    def waking(self, wait: Wait, *, timeout_us: int | None = None, method: str = "") -> Wake:
        """What a task says that gives its slot away."""
        left, timed_out = Resumption(method=method), Resumption(method=method, timed_out=True)
        return Wake(
            wait=wait,
            timeout_us=timeout_us,
            resumption=left.SerializeToString(),
            resumption_timed_out=timed_out.SerializeToString(),
        )

    def defer(self, lease: Lease, worker: Worker, wait: Wait, **fields: Any) -> None:
        """Start an attempt and let it wait without its slot."""
        self.start(lease, worker)
        self.finish(lease, "deferred" if wait.question is None else "awaiting_input", wake=self.waking(wait, **fields))

    def deliver(self, name: str, value: Any = None, **fields: Any) -> int:
        """Something happened outside; answers how many task instances waited for it."""
        payload = None if value is None else json_payload(value).SerializeToString()
        command = DeliverEvent(team=TEAM, name=name, payload=payload, **fields)
        return self.store.write_blocking(each(lambda uow, _: deliver(uow, self.heart.plans, command)), None)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause a DAG, or let it go on, and do what follows."""
        versions, schedules = self.heart.plans.versions, self.heart.schedules
        self.act(lambda uow: dag_listing.pause_dag(uow, versions, schedules, TEAM, dag_id, paused=paused))
        self.ring()

    def act(self, action: Callable[[UnitOfWork], Any]) -> Any:
        """Do something in a transaction."""
        return self.store.write_blocking(each(lambda uow, _: action(uow)), None)

    def set_pool(self, name: str, slots: int) -> None:
        """Make or change a pool."""
        self.store.write_blocking(each(lambda uow, _: pools.set_pool(uow, TEAM, name, slots=slots)), None)

    # Time

    def age(self, seconds: float, *, task_id: str | None = None) -> None:
        """Let queued instances, of all tasks or one, have waited so much longer."""
        t, passed = task_instance.c, round(seconds * 1_000_000)
        older = update(task_instance).values(queued_time=t.queued_time - passed, rank=t.rank - passed)
        self._change(older.where(t.state == "queued", t.task_id == task_id if task_id is not None else true()))

    def wake(self) -> int:
        """Let the times come for which task instances wait, and queue them."""
        self._change(update(task_instance).values(not_before=1).where(task_instance.c.not_before.is_not(None)))
        return self.store.write_blocking(each(self.heart.timekeeper.wake), None)

    def pass_start_deadline(self) -> int:
        """Let all start deadlines pass."""
        self._change(update(attempt).values(start_deadline=1))
        return self.store.write_blocking(each(self.heart.timekeeper.return_unstarted), None)

    def pass_lease(self) -> int:
        """Let all leases run out."""
        self._change(update(attempt).values(lease_expires=1).where(attempt.c.lease_expires.is_not(None)))
        return self.store.write_blocking(each(self.heart.timekeeper.expire), None)

    def fall_silent(self, worker_: Worker) -> None:
        """Let a worker not be heard of for long."""
        self._change(update(worker).values(last_heartbeat_time=1).where(worker.c.instance_id == worker_.instance_id))

    def continue_one(self) -> bool:
        """Work off one piece that a transaction left behind; answers whether there was one."""
        return self.store.write_blocking(each(self.heart.timekeeper.continue_left), None) > 0

    def deregister(self, worker_: Worker) -> None:
        """A worker leaves in good order."""
        self.store.write_blocking(self.heart.deregister, (TEAM, worker_.instance_id))

    def continue_all(self) -> int:
        """Work off what transactions left behind, and the timers that are due; answers how many pieces there were."""
        pieces = 0
        while self.store.write_blocking(each(self.heart.timekeeper.continue_left), None) or self.ring():
            pieces += 1
        return pieces

    def ring(self) -> int:
        """Do what is due for timers, until none is; answers how many there were."""
        rung = 0
        while number := self.store.write_blocking(each(self.heart.timekeeper.ring), None):
            rung += number
        return rung

    # Looking

    def states(self, run_key: str) -> dict[Any, str]:
        """The states of task instances, by task id, or task id and map index."""
        query = select(task_instance).where(task_instance.c.run_key == run_key, task_instance.c.task_index >= 0)
        rows = self.store.read_blocking(lambda uow: uow.execute(query).all())
        return {row.task_id if row.map_index < 0 else (row.task_id, row.map_index): row.state for row in rows}

    def workloads(self, run_key: str) -> list[Any]:
        """The triggers, callbacks and timetables of a run, in the order of their making."""
        t = task_instance.c
        query = select(task_instance).where(t.run_key == run_key, t.task_index < 0).order_by(t.map_index)
        return list(self.store.read_blocking(lambda uow: uow.execute(query).all()))

    def row_of_run(self, run_key: str) -> Any:
        """One run."""
        return self.row(dag_run, run_key)

    def run_state(self, run_key: str) -> str:
        """The state of a run."""
        state: str = self.row(dag_run, run_key).state
        return state

    def instance(self, run_key: str, task_id: str, map_index: int = -1) -> Any:
        """One task instance."""
        t = task_instance.c
        query = select(task_instance).where(
            t.run_key == run_key, t.task_id == task_id, t.map_index == map_index, t.task_index >= 0
        )
        return self.store.read_blocking(lambda uow: uow.execute(query).one())

    def attempt_end(self, row: Any) -> int:
        """When the last attempt of an instance ended."""
        end: int = self.row(attempt, row.attempt_id).end_time
        return end

    def attempt(self, lease: Lease) -> Any:
        """One attempt."""
        return self.row(attempt, lease.attempt_id)

    def row(self, table: Any, row_id: str) -> Any:
        """One row by id."""
        return self.store.read_blocking(lambda uow: uow.execute(select(table).where(table.c.id == row_id)).one())

    def left_behind(self) -> int:
        """How many continuations there are."""
        return len(self.store.read_blocking(lambda uow: uow.execute(select(continuation)).all()))

    def _change(self, statement: Any) -> None:
        self.store.write_blocking(each(lambda uow, _: uow.execute(statement).rowcount), None)


def _start_of(lease: Lease, worker: Worker) -> StartAttempt:
    return StartAttempt(attempt_id=lease.attempt_id, lease=lease.lease, instance_id=worker.instance_id)


def _finish_of(
    lease: Lease,
    outcome: str,
    result: Any,
    *,
    outcome_id: str | None = None,
    failure: FailureFacts | None = None,
    **fields: Any,
) -> FinishAttempt:
    return FinishAttempt(
        attempt_id=lease.attempt_id,
        lease=lease.lease,
        outcome_id=outcome_id or str(uuid.uuid4()),
        event=Event[f"FINISH_{outcome.upper()}"],
        values=() if result is None else ((RETURN_VALUE, stored(result)),),
        failure=failure or (failed() if outcome == "failed" else None),
        **fields,
    )


def arguments(context: TaskContext) -> dict[str, Any]:
    """The arguments of a started task, by name."""
    return {each_input.name: decode(each_input.value) for each_input in context.inputs}


def argument(context: TaskContext, position: int = 0) -> ResolvedInput:
    """One argument of a started task."""
    return context.inputs[position]


def resumed(context: TaskContext) -> Resumption:
    """What a task goes on with."""
    assert context.resumption is not None
    return Resumption.FromString(context.resumption)


def brought(context: TaskContext) -> Any:
    """What the event brought with which a task goes on; None: nothing."""
    event = resumed(context).event
    return decode(manifests.value_of(event)) if event.encoding else None


def refused(call: Callable[[], object]) -> str:
    """The reason with which a call is refused."""
    try:
        call()
    except Refused as error:
        return error.reason.name
    raise AssertionError("The call was not refused.")


@contextmanager
def counted(store: Store) -> Iterator[list[object]]:
    """The statements that a store executes meanwhile; a server of other tests may go on in this process."""
    executed: list[object] = []
    execute = UnitOfWork.execute

    def count(uow: UnitOfWork, statement: Any, parameters: Any = None) -> Any:
        if uow._connection.engine is store._driver.engine:
            executed.append(statement)
        return execute(uow, statement, parameters)

    UnitOfWork.execute = count  # type: ignore[method-assign,assignment]  # a spy, for as long as it counts
    try:
        yield executed
    finally:
        UnitOfWork.execute = execute  # type: ignore[method-assign]  # as it was

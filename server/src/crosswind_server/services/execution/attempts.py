"""Attempts: starting them with all that their tasks need, and recording how they ended. [LEASE-1] [LEASE-2] [FIN-1]

Both are answered in sets: the statements are as many for a hundred calls as for one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from crosswind_server import manifests
from crosswind_server.domain import lifecycle
from crosswind_server.domain.arguments import RETURN_VALUE, StoredValue
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.schedule import ScheduledRun
from crosswind_server.domain.skipping import ALL_DIRECT, BRANCH_INVALID, EVERYTHING, UnknownBranch, skipped_by_branch
from crosswind_server.domain.states import AttemptState, TaskState, Workload
from crosswind_server.domain.workloads import ALLOWED, OUTCOME_NOT_ALLOWED
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution.contexts import (
    Declared,
    DeclaredReader,
    DeclaredRequest,
    TaskContext,
    names_of,
    resolve_inputs,
)
from crosswind_server.services.execution.landing import Landing
from crosswind_server.services.execution.outcome_checks import failure_of, find_wrong_schema
from crosswind_server.services.execution.state_store import StateWrite
from crosswind_server.services.flow import progress, timetables
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import AttemptRecord, Instance
from crosswind_server.services.flow.settlement import Ending, FailureFacts, Settler, state_of
from crosswind_server.services.flow.waiting import Wait
from crosswind_server.services.runs.asset_events import Emission
from crosswind_server.store import attempts, runs, task_instances, timers, xcoms
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import SECOND_US, Timing

_KEPT_FACTS: Final = 1_000
_SMALL_CONF: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """A worker starts an attempt that it was given."""

    attempt_id: str
    lease: bytes
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """When a deferred or rescheduled task goes on, and with what.

    Args:
        time_us: the moment, microseconds since the epoch.
        delay_us: the same from now.
        timeout_us: the longest wait, from now.
        resumption: what its next attempt gets, serialized.
        resumption_timed_out: the same where the wait ended by its timeout.
        wait: what it waits for beside a moment.
    """

    time_us: int | None = None
    delay_us: int | None = None
    timeout_us: int | None = None
    resumption: bytes | None = None
    resumption_timed_out: bytes | None = None
    wait: Wait | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishAttempt:
    """How an attempt ended.

    Args:
        event: one of `lifecycle.OUTCOMES`.
        values: the XComs that it wrote, by key.
        failure: of a failed one.
        wake: of a deferred, rescheduled or asking one.
        next_runs: what a timetable answered.
        log_end: how many records its log has, where all were sent before.
        cpu_time_us: CPU time that its process used, in microseconds; None where not told.
        max_memory_bytes: the most resident memory of its process; None where not told.
        emissions: events of assets; they count where it succeeded.
        checkpoints: state for its next try, whatever became of it.
        follow_ids: of one that succeeded, the tasks or groups that its branch follows; None: it is no branch.
        skip_all_downstream: of one that succeeded, as in `execution.v1.Succeeded`; None: it skips nothing.
        skips: which successors that skips, as stored; made from the two by `choose`.
    """

    attempt_id: str
    lease: bytes
    outcome_id: str
    event: Event
    values: tuple[tuple[str, StoredValue], ...] = ()
    failure: FailureFacts | None = None
    wake: Wake | None = None
    next_runs: tuple[ScheduledRun, ...] = ()
    log_end: int | None = None
    cpu_time_us: int | None = None
    max_memory_bytes: int | None = None
    emissions: tuple[Emission, ...] = ()
    checkpoints: tuple[StateWrite, ...] = ()
    follow_ids: tuple[str, ...] | None = None
    skip_all_downstream: bool | None = None
    skips: str | None = None


def choose(board: Board, instance: Instance, command: FinishAttempt) -> FinishAttempt:
    """What an outcome skips, from the ids that it follows. [SCHED-1]

    An outcome that follows what is not there, or asks for what no schema says, must not be undeliverable: the attempt
    failed, and is not tried again.
    """
    if command.event is Event.FINISH_AWAITING_INPUT:
        wait = command.wake.wait if command.wake is not None else None
        wrong = find_wrong_schema(wait.question) if wait is not None and wait.question is not None else None
        return command if wrong is None else replace(command, event=Event.FINISH_FAILED, failure=wrong, wake=None)
    if command.event is not Event.FINISH_SUCCEEDED or not instance.is_task:
        return command
    plan, task = board.plan_of(board.runs[instance.run_key]), board.task_of(instance)
    skips = None
    try:
        if command.follow_ids is not None:
            skips = skipped_by_branch(plan, task, command.follow_ids)
    except UnknownBranch as unknown:
        text = (
            f"The branch '{task.task_id}' follows '{unknown.followed[:250]}', which is neither a task directly "
            "downstream of it nor a group that holds one; return the id of one that is."
        )
        values = tuple((key, value) for key, value in command.values if key != RETURN_VALUE)
        return replace(command, event=Event.FINISH_FAILED, values=values, failure=failure_of(BRANCH_INVALID, text))
    if command.skip_all_downstream is not None:
        skips = EVERYTHING if command.skip_all_downstream else ALL_DIRECT
    return command if skips is None else replace(command, skips=skips.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An outcome is recorded."""

    recorded_as_cancelled: bool
    next_log_sequence: int


class Attempts:
    """Starting and finishing, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache, *, timing: Timing, declared: DeclaredReader) -> None:
        self._plans = plans
        self._timing = timing
        self._declared = declared
        self._facts: dict[str, Any] = {}

    # Starting

    def start(self, uow: UnitOfWork, commands: Sequence[StartAttempt]) -> Sequence[TaskContext | Exception]:
        """Turn assigned attempts into running ones. Under the same lease the answer is the same, however often."""
        board = Board(uow, self._plans)
        records = board.lock_attempts({command.attempt_id for command in commands})
        results: list[Exception | None] = []
        starting: dict[str, AttemptRecord] = {}
        answering: dict[str, AttemptRecord] = {}
        for command in commands:
            record = records.get(command.attempt_id)
            refusal = _check_lease(record, Event.START, command.attempt_id, command.lease)
            if refusal is not None or record is None:
                results.append(refusal)
                continue
            step = lifecycle.transition(state_of(record), Event.START)
            if isinstance(step.reply, Refused):
                results.append(step.reply)
                continue
            results.append(None)
            answering[record.id] = record
            if record.state == AttemptState.ASSIGNED:
                record.state = step.attempt.state.value
                starting[record.id] = record
        self._write_starts(board, list(starting.values()))
        contexts = self._contexts(board, list(answering.values()))
        return [
            contexts[command.attempt_id] if error is None else error
            for command, error in zip(commands, results, strict=True)
        ]

    def _write_starts(self, board: Board, records: Sequence[AttemptRecord]) -> None:
        if not records:
            return
        uow = board.uow
        dues = {record.id: self._timeout_due(board, record) for record in records}
        if any(due is not None and due < uow.now + self._timing.look_interval * SECOND_US for due in dues.values()):
            uow.hint(timers.TOPIC)
        rows = [{"id": record.id, "lease": record.lease, "timeout_due": dues[record.id]} for record in records]
        if attempts.start(uow, rows, lease_expires=uow.now + self._timing.lease_us) != len(records):
            raise RuntimeError("An attempt changed although its run is locked.")
        changed = []
        for record in records:
            record.start_time = uow.now
            instance = board.instances[record.task_instance_id]
            instance.state = TaskState.RUNNING.value
            instance.start_time = uow.now
            instance.first_start_time = instance.first_start_time or uow.now
            if instance.is_task:
                if record.try_number > 1 and instance.resumption_message is None:
                    xcoms.delete_of_instance(uow, instance.run_key, instance.task_id, instance.map_index)
                board.touch_run(board.runs[instance.run_key])
            changed.append({"id": instance.id, **{name: getattr(instance, name) for name in _STARTED}})
        task_instances.change(uow, changed, _STARTED)
        board.flush()

    def _timeout_due(self, board: Board, record: AttemptRecord) -> int | None:
        """When the server ends an attempt whose worker had time enough to; None: its task may last for ever."""
        task = board.task_of(board.instances[record.task_instance_id])
        if task.execution_timeout_us is None:
            return None
        return board.uow.now + task.execution_timeout_us + task.cancel_grace_us + self._timing.heartbeat_us

    def _contexts(self, board: Board, records: Sequence[AttemptRecord]) -> dict[str, TaskContext]:
        if not records:
            return {}
        starts = []
        requests = []
        for record in records:
            instance = board.instances[record.task_instance_id]
            run = board.runs[instance.run_key]
            plan = board.plan_of(run)
            task = board.task_of(instance)
            starts.append((run, plan, task, instance))
            requests.append(
                DeclaredRequest(
                    team=run.team, access=plan.access, variables=task.variables, connections=task.connections
                )
            )
        inputs = resolve_inputs(board.uow, starts)
        names = names_of(board.uow, starts)
        named = [(start[3], name) for start, name in zip(starts, names, strict=True) if name]
        if named:
            rows = [{"id": instance.id, "map_index_name": name} for instance, name in named]
            task_instances.change(board.uow, rows, ("map_index_name",))
        declared: Sequence[Declared] = [Declared() for _ in requests]
        if any(request.variables or request.connections for request in requests):
            declared = self._declared.read(board.uow, requests)
        facts = self._facts_of(board.uow, {run.id for run, _, _, _ in starts})
        return {
            record.id: TaskContext(
                run=run,
                run_facts=facts[run.id],
                plan=plan,
                task=task,
                record=record,
                workload=Workload(instance.workload),
                workload_message=(
                    timetables.question(board.uow, plan, run.team)
                    if instance.workload == Workload.TIMETABLE
                    else instance.workload_message
                ),
                map_index=instance.map_index if instance.is_task else instance.workload_map_index,
                max_tries=instance.max_tries,
                inputs=resolved,
                declared=opened,
                previous_failure=instance.failure_message,
                resumption=instance.resumption_message,
                start_time=record.start_time or board.uow.now,
                first_start_time=instance.first_start_time or board.uow.now,
                map_index_name=name,
            )
            for record, (run, plan, task, instance), resolved, opened, name in zip(
                records, starts, inputs, declared, names, strict=True
            )
        }

    def _facts_of(self, uow: UnitOfWork, run_keys: set[str]) -> dict[str, Any]:
        """What tasks are told of their runs. It never changes, so it is kept, unless it is large."""
        facts = {run_key: self._facts[run_key] for run_key in run_keys if run_key in self._facts}
        for row in runs.facts(uow, run_keys - facts.keys()):
            facts[row.id] = row
            if len(row.conf_message or b"") <= _SMALL_CONF:
                self._facts[row.id] = row
        while len(self._facts) > _KEPT_FACTS:
            del self._facts[next(iter(self._facts))]
        return facts

    # Finishing

    def finish(self, uow: UnitOfWork, commands: Sequence[FinishAttempt]) -> Sequence[Finished | Exception]:
        """Record outcomes and make the successors runnable. [SCHED-1]"""
        board = Board(uow, self._plans)
        records = board.lock_attempts({command.attempt_id for command in commands})
        settler = Settler(board)
        landing = Landing(board)
        results: list[Finished | Exception] = []
        for command in commands:
            record = records.get(command.attempt_id)
            answered = record is not None and record.outcome_id == command.outcome_id
            refusal = None
            if not answered:
                refusal = _check_lease(record, command.event, command.attempt_id, command.lease)
            if refusal is not None or record is None:
                results.append(refusal or _unknown(command.event, command.attempt_id))
                continue
            cancelling = record.state == AttemptState.CANCELLING
            instance = board.instances[record.task_instance_id]
            command = choose(board, instance, _allowed(instance, command))
            reply = settler.apply(record, command.event, self._ending(uow, command))
            if isinstance(reply, Refused):
                results.append(reply)
                continue
            if not answered and not cancelling and instance.is_task:
                landing.add(instance, command)
            results.append(
                Finished(
                    recorded_as_cancelled=record.state == AttemptState.CANCELLED,
                    next_log_sequence=record.log_next_sequence,
                )
            )
        settler.write()
        landing.write()
        progress.advance(board, causes=len(commands))
        return results

    @staticmethod
    def _ending(uow: UnitOfWork, command: FinishAttempt) -> Ending:
        wake = command.wake or Wake()
        due = wake.time_us if wake.delay_us is None else uow.now + wake.delay_us
        resumption = wake.resumption
        if wake.timeout_us is not None and (due is None or uow.now + wake.timeout_us < due):
            due = uow.now + wake.timeout_us
            resumption = wake.resumption_timed_out
        result = dict(command.values).get(RETURN_VALUE)
        return Ending(
            outcome_id=command.outcome_id,
            failure=command.failure,
            wake_at_us=due,
            resumption=resumption,
            wait=wake.wait,
            result=_result(command, result),
            log_end=command.log_end,
            cpu_time_us=command.cpu_time_us,
            max_memory_bytes=command.max_memory_bytes,
            skips=command.skips,
        )


_STARTED: Final = ("state", "start_time", "first_start_time")


def _result(command: FinishAttempt, result: StoredValue | None) -> bytes | None:
    """What a workload beside tasks answers: a timetable its dates, any other its result."""
    if command.next_runs:
        return json.dumps([astuple(each) for each in command.next_runs]).encode()
    return None if result is None else manifests.payload_of(result).SerializeToString(deterministic=True)


def _allowed(instance: Instance, command: FinishAttempt) -> FinishAttempt:
    """The command; a failure instead where a workload beside tasks ended as only a task may."""
    workload = Workload(instance.workload)
    if command.event in ALLOWED[workload]:
        return command
    how = command.event.value.removeprefix("finish ")
    text = f"A {workload} cannot end as {how}; let '{instance.workload_entry_point}' return what it found, or raise."
    return replace(command, event=Event.FINISH_FAILED, failure=failure_of(OUTCOME_NOT_ALLOWED, text), wake=None)


def _check_lease(record: AttemptRecord | None, event: Event, attempt_id: str, lease: bytes) -> Exception | None:
    """The refusal of a call about an attempt that is not known under the lease."""
    return None if record is not None and bytes(record.lease) == lease else _unknown(event, attempt_id)


def _unknown(event: Event, attempt_id: str) -> Exception:
    answer = lifecycle.answer_unknown(event, attempt_id=attempt_id)
    assert isinstance(answer, Refused)
    return answer

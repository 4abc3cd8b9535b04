"""What becomes of attempts and their task instances when something happens to the attempts.

Here belongs the way from an event of `domain.lifecycle` to the rows that change, the same for every cause: a finish, an
expiry, a worker that left, a cancel. What follows for other tasks is in `progress`.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from crosswind_server import manifests
from crosswind_server.domain import lifecycle
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.lifecycle import Event, TaskEffect
from crosswind_server.domain.plan import CallbackEvent, TaskPlan
from crosswind_server.domain.retry import Counters, RetryPolicy, Settlement, after_attempt, after_cancel
from crosswind_server.domain.states import TERMINAL_TASK_STATES, AttemptState, TaskState, rest_of
from crosswind_server.services.execution.logs import topic as log_topic
from crosswind_server.services.flow import callbacks
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.resetting import end_silently, end_stopped, revive, wait_again
from crosswind_server.services.flow.rows import AttemptRecord, Instance
from crosswind_server.services.flow.waiting import Wait
from crosswind_server.store import attempts

LOST = "crosswind.Lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFacts:
    """What the retry decision needs to know of a failure.

    Args:
        message: the serialized `Failure`, kept as it is.
        types: its type and base types.
        retryable: the author's word.
        retry_after_us: the failure's own wait, in microseconds.
    """

    message: bytes
    types: tuple[str, ...]
    retryable: bool = True
    retry_after_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known of how an attempt ended, beside the event.

    Args:
        outcome_id: made by the worker; None where the server ended it.
        failure: of a failed attempt.
        wake_at_us: when a deferred or rescheduled task is due.
        resumption: serialized, for the next attempt of a deferred task.
        wait: what a deferred or asking task waits for beside a moment.
        result: what a workload beside tasks answered, serialized.
        log_end: how many records its log has, where no more will come and all were sent before. [BYTES-1]
        cpu_time_us: CPU time that its process used, in microseconds; None where its worker told none.
        max_memory_bytes: the most resident memory of its process; None where its worker told none.
        skips: which successors a task that succeeds skips, as stored.
    """

    outcome_id: str | None = None
    failure: FailureFacts | None = None
    wake_at_us: int | None = None
    resumption: bytes | None = None
    wait: Wait | None = None
    result: bytes | None = None
    log_end: int | None = None
    cpu_time_us: int | None = None
    max_memory_bytes: int | None = None
    skips: str | None = None


class Settler:
    """Applies events to attempts that are on a board, and writes the attempts together."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._attempts: list[dict[str, Any]] = []

    def apply(self, record: AttemptRecord, event: Event, ending: Ending | None = None) -> lifecycle.Reply | Refused:
        """Apply an event to an attempt whose run is locked. Answers what the caller is told.

        Events that only lead to a reply, and START, which is written by `attempts`, change nothing here.
        """
        ending = ending or Ending()
        step = lifecycle.transition(state_of(record), event, outcome_id=ending.outcome_id)
        if step.attempt.state == record.state and step.attempt.clear_requested == record.requeue:
            return step.reply
        board = self._board
        instance = board.instances[record.task_instance_id]
        ended = step.attempt.state in lifecycle.ENDED
        failure = self._failure(step, ending, instance, record)
        was = TaskState(instance.state)
        record.state = step.attempt.state.value
        record.outcome_id = step.attempt.outcome_id
        record.requeue = step.attempt.clear_requested
        record.end_time = board.uow.now if ended else None
        if ending.log_end == record.log_next_sequence and not record.log_closed:
            record.log_closed = True
            board.uow.hint(log_topic(record.id))
        self._attempts.append(
            {
                "id": record.id,
                "lease": record.lease,
                "state": record.state,
                "outcome_id": record.outcome_id,
                "requeue": record.requeue,
                "end_time": record.end_time,
                "log_closed": record.log_closed,
                "failure_message": failure.message if failure is not None else None,
                "cpu_time_us": ending.cpu_time_us,
                "max_memory_bytes": ending.max_memory_bytes,
            }
        )
        if ended:
            board.uow.hint(f"worker:{record.instance_id}")
            if instance.pool is not None or instance.task_limit is not None:
                # What waits for the same pool may wait for any worker.
                board.uow.hint(f"work:{instance.team}")
        self._change_task(instance, step, was=was, record=record, failure=failure, ending=ending)
        return step.reply

    def _failure(
        self, step: lifecycle.Step, ending: Ending, instance: Instance, record: AttemptRecord
    ) -> FailureFacts | None:
        state = step.attempt.state
        if state is AttemptState.FAILED and step.event is Event.REDELIVERY_EXHAUSTED:
            text = (
                f"The worker '{instance.worker_name}' was sent this attempt {lifecycle.MAX_DELIVERIES} times and never "
                "started it; look at its log."
            )
            return _found(lifecycle.DELIVERY_FAILED, text)
        if state is AttemptState.FAILED and step.event is Event.EXECUTION_TIMEOUT:
            text = (
                "The attempt lasted longer than its execution timeout; the server ended it, because the worker "
                f"'{instance.worker_name}' did not."
            )
            return _found(lifecycle.EXECUTION_TIMEOUT_FAILURE, text)
        if state is AttemptState.LOST:
            text = (
                f"The worker '{instance.worker_name}' went away, or was silent for too long, while it ran this attempt."
            )
            return _found(LOST, text)
        return ending.failure if state is AttemptState.FAILED else None

    def _change_task(
        self,
        instance: Instance,
        step: lifecycle.Step,
        *,
        was: TaskState,
        record: AttemptRecord,
        failure: FailureFacts | None,
        ending: Ending,
    ) -> None:
        board = self._board
        counters = Counters(tries=record.try_number - 1, failures=instance.failures, losses=instance.losses)
        match step.task_effect:
            case TaskEffect.NONE:
                return
            case TaskEffect.CANCELLING:
                instance.state = TaskState.CANCELLING.value
                board.touch(instance)
                return
            case TaskEffect.SETTLE | TaskEffect.RETURN:
                settled = self._settle(instance, step.attempt.state, counters, failure, ending)
            case TaskEffect.CANCEL:
                settled = after_cancel(counters, was=was)
            case TaskEffect.CLEAR:
                self._clear(instance)
                return
            case _:
                raise lifecycle.LifecycleError(f"{step.event} has no settlement for {step.task_effect}")
        instance.failures = settled.counters.failures
        instance.losses = settled.counters.losses
        self._place(instance, settled, record, failure, ending)

    def _clear(self, instance: Instance) -> None:
        """The attempt of a cleared instance has ended: it waits for its upstream tasks again.

        One of a mapped task runs again at once while its task is expanded. Where that was cleared as a whole it is
        removed, and its task may be expanded anew when it was the last. A task that its run does not have any more,
        because it was cleared into another version, is removed too.
        """
        board = self._board
        if instance.map_index < 0:
            if instance.is_task and board.task_of(instance).gone:
                end_silently(board, instance, TaskState.REMOVED)
            else:
                wait_again(board, instance)
            return
        key = (instance.run_key, instance.task_index)
        board.load_tasks([key])
        parent = board.tasks[key]
        if parent.state == TaskState.EXPANDED:
            revive(board, instance)
            return
        end_silently(board, instance, TaskState.REMOVED)
        if parent.state == TaskState.WAITING:
            board.stale[parent.id] = parent

    def _settle(
        self,
        instance: Instance,
        ended: AttemptState,
        counters: Counters,
        failure: FailureFacts | None,
        ending: Ending,
    ) -> Settlement:
        task = self._board.task_of(instance)
        policy, retryable, retry_after_us = decide_retry(task, failure)
        return after_attempt(
            ended,
            counters=counters,
            policy=policy,
            now_us=self._board.uow.now,
            retryable=retryable,
            retry_after_us=retry_after_us,
            wake_at_us=ending.wake_at_us,
            u=random.random(),
        )

    def _place(
        self,
        instance: Instance,
        settled: Settlement,
        record: AttemptRecord,
        failure: FailureFacts | None,
        ending: Ending,
    ) -> None:
        board = self._board
        # Callbacks are for what happened before, and go on.
        final = board.runs[instance.run_key].final_state if instance.is_task else None
        if final is not None and (settled.state is TaskState.CANCELLED or settled.state not in TERMINAL_TASK_STATES):
            end_stopped(board, [instance], rest_of(final))
            return
        if settled.state in TERMINAL_TASK_STATES:
            shown = failure.message if failure is not None and settled.state is TaskState.FAILED else None
            board.results[instance.id] = ending.result
            skips = ending.skips if settled.state is TaskState.SUCCEEDED else None
            board.end(instance, settled.state, failure=shown, skips=skips)
            return
        if failure is not None:
            instance.failure_message = failure.message
        gone = board.why_not(instance)
        if gone is not None:
            board.end(instance, TaskState.FAILED, failure=gone)
            return
        board.follow_code(instance)
        instance.state = settled.state.value
        if record.state != AttemptState.RETURNED:
            instance.resumption_message = ending.resumption
        instance.not_before = None
        instance.waits_for = None
        if settled.state is TaskState.QUEUED:
            board.queue_again(instance)
        elif settled.not_before_us is not None:
            instance.not_before = settled.not_before_us
            board.uow.hint("timers")
        if ending.wait is not None:
            instance.waits_for = ending.wait.key
            board.begun.append((instance, ending.wait))
        if settled.state is TaskState.UP_FOR_RETRY and instance.is_task:
            callbacks.of_instance(board, instance, CallbackEvent.RETRY)
        board.touch(instance)

    def write(self) -> None:
        """Write the attempts that changed, in one statement."""
        if self._attempts:
            changed = attempts.end(self._board.uow, self._attempts)
            if changed != len(self._attempts):
                raise RuntimeError("An attempt changed although its run is locked.")
            self._attempts = []


def ask_to_end(board: Board, attempt_ids: Collection[str], event: Event, *, reason: str) -> Collection[AttemptRecord]:
    """Cancel or clear live attempts; their workers are told until they confirm. Answers the attempts. [LEASE-4]

    Args:
        event: CANCEL or CLEAR.
        reason: why, for the logs of their tasks.
    """
    if not attempt_ids:
        return ()
    records = board.lock_attempts(attempt_ids)
    settler = Settler(board)
    for record in records.values():
        settler.apply(record, event)
        board.uow.hint(f"worker:{record.instance_id}")
    settler.write()
    attempts.explain_cancel(board.uow, list(records), reason)
    return records.values()


def decide_retry(task: TaskPlan, failure: FailureFacts | None) -> tuple[RetryPolicy, bool, int | None]:
    """The retry policy that applies to a failure, whether it may be tried again, and the failure's own wait."""
    if failure is None:
        return task.retry, True, None
    rule = task.rule_for(failure.types)
    if rule is None:
        return task.retry, failure.retryable, failure.retry_after_us
    policy = task.retry if rule.delay_us is None else replace(task.retry, delay_us=rule.delay_us)
    return policy, failure.retryable and rule.retry, failure.retry_after_us


def _found(failure_type: str, text: str) -> FailureFacts:
    return FailureFacts(message=manifests.failure_message(failure_type, text), types=(failure_type,))


def state_of(record: AttemptRecord) -> lifecycle.Attempt:
    """What the rules need to know of an attempt."""
    return lifecycle.Attempt(
        attempt_id=record.id,
        state=AttemptState(record.state),
        deliveries=record.deliveries,
        outcome_id=record.outcome_id,
        clear_requested=record.requeue,
    )

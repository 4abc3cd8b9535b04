"""A try that fails although no attempt of it runs: its trigger failed, or nobody answered."""

from __future__ import annotations

import random

from crosswind_server import manifests
from crosswind_server.domain.plan import CallbackEvent
from crosswind_server.domain.retry import Counters, after_attempt
from crosswind_server.domain.states import AttemptState, TaskState
from crosswind_server.services.flow import callbacks
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.rows import Instance
from crosswind_server.services.flow.settlement import FailureFacts, decide_retry


def fail_wait(board: Board, instance: Instance, failure_type: str, text: str, *, cause: bytes | None = None) -> None:
    """Let the try of an instance that waits fail: the task's retry policy decides what follows.

    Args:
        cause: the failure behind it, serialized. Its types count for the policy's rules.
    """
    message = manifests.caused_failure(failure_type, text, cause)
    facts = FailureFacts(message=message, types=(failure_type, *manifests.failure_types(cause)))
    policy, retryable, retry_after_us = decide_retry(board.task_of(instance), facts)
    counters = Counters(tries=instance.try_number - 1, failures=instance.failures, losses=instance.losses)
    settled = after_attempt(
        AttemptState.FAILED,
        counters=counters,
        policy=policy,
        now_us=board.uow.now,
        retryable=retryable,
        retry_after_us=retry_after_us,
        u=random.random(),
    )
    instance.failures = settled.counters.failures
    if settled.state is TaskState.FAILED:
        board.end(instance, TaskState.FAILED, failure=message)
        return
    instance.state = settled.state.value
    instance.failure_message = message
    instance.resumption_message = None
    instance.waits_for = None
    instance.not_before = settled.not_before_us
    callbacks.of_instance(board, instance, CallbackEvent.RETRY)
    # The attempt that began to wait left its number to the next one, which is another try now.
    instance.try_number = settled.counters.next_try_number
    board.touch(instance)
    board.uow.hint("timers")

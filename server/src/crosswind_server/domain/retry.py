"""What becomes of a task instance when its attempt ends.

Here belong the budgets (retries, lost attempts), the delay before the next try and the number of a try. Which event
ends an attempt is in `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from crosswind_server.domain.states import AttemptState, TaskState

DAY_US: Final = 24 * 60 * 60 * 1_000_000

_CONSUMES_A_TRY: Final = frozenset(
    {
        AttemptState.SUCCEEDED,
        AttemptState.FAILED,
        AttemptState.SKIPPED,
        AttemptState.CANCELLED,
        AttemptState.LOST,
    }
)
"""A deferred, rescheduled or waiting attempt goes on under its number; a returned one never began."""

_HOLDS_A_TRY_OPEN: Final = frozenset(
    {
        TaskState.RUNNING,
        TaskState.CANCELLING,
        TaskState.DEFERRED,
        TaskState.UP_FOR_RESCHEDULE,
        TaskState.AWAITING_INPUT,
    }
)
"""The try has begun and was not counted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a task is tried again.

    Args:
        retries: further tries after a failure, 0 for none.
        lost_budget: lost attempts that are forgiven, apart from `retries`.
        delay_us: wait before the first retry, in microseconds.
        multiplier: the wait grows by it with each failure; 1.0 keeps it constant, 2.0 doubles it.
        max_delay_us: no wait is longer (Airflow's `max_retry_delay` has the same default of a day).
        jitter: the share of the wait that is random, 0.0 to 1.0.
    """

    retries: int = 0
    lost_budget: int = 3
    delay_us: int = 0
    multiplier: float = 1.0
    max_delay_us: int = DAY_US
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.retries < 0 or self.lost_budget < 0 or self.delay_us < 0 or self.max_delay_us < 0:
            raise ValueError("retries, lost budget and delays of a retry policy are not negative")
        if not self.multiplier >= 1.0:
            raise ValueError(f"the multiplier of a retry policy is at least 1.0, not {self.multiplier}")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError(f"the jitter of a retry policy lies between 0.0 and 1.0, not {self.jitter}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a task instance has used up.

    Args:
        tries: tries that ended, over its whole life; the next attempt's `try_number` is one more.
        failures: failed tries since it was last cleared.
        losses: lost attempts since it was last cleared.
    """

    tries: int = 0
    failures: int = 0
    losses: int = 0

    @property
    def next_try_number(self) -> int:
        """The number given at the next assignment, from 1."""
        return self.tries + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The task instance after its attempt ended. `not_before_us` None: nothing but the state holds it back."""

    state: TaskState
    counters: Counters
    not_before_us: int | None = None


def retry_delay_us(policy: RetryPolicy, *, failures: int, u: float) -> int:
    """The wait before the next try, in microseconds.

    Capped exponential back-off, `min(max_delay, delay * multiplier ** (failures - 1))`, of which the share `jitter`
    is drawn at random: 1.0 is the "full jitter" and 0.5 the "equal jitter" of M. Brooker, "Exponential Backoff And
    Jitter" (AWS Architecture Blog, 2015).

    Args:
        failures: failed tries so far, at least 1.
        u: a random number in [0, 1).
    """
    if failures < 1:
        raise ValueError("a delay follows at least one failure")
    try:
        grown = policy.delay_us * policy.multiplier ** (failures - 1)
    except OverflowError:
        grown = float(policy.max_delay_us) if policy.delay_us else 0.0
    capped = min(float(policy.max_delay_us), grown)
    return int(capped * (1.0 - policy.jitter * (1.0 - u)))


def after_attempt(
    ended: AttemptState,
    *,
    counters: Counters,
    policy: RetryPolicy,
    now_us: int,
    retryable: bool = True,
    retry_after_us: int | None = None,
    wake_at_us: int | None = None,
    u: float = 0.0,
) -> Settlement:
    """The task instance after an attempt that ended as `ended`.

    Args:
        ended: how it ended; CANCELLED means that it had started (see `after_cancel` for others).
        retryable: the failure's own word; False fails the task whatever its budget.
        retry_after_us: the failure's own wait, in microseconds from now; it replaces the policy's.
        wake_at_us: when a deferred, rescheduled or asking task is due, microseconds since the epoch, None if unknown.
        u: a random number in [0, 1) for the jitter.

    Raises:
        ValueError: the attempt is still live.
    """
    used = replace(counters, tries=counters.tries + 1) if ended in _CONSUMES_A_TRY else counters
    match ended:
        case AttemptState.SUCCEEDED:
            return Settlement(state=TaskState.SUCCEEDED, counters=used)
        case AttemptState.SKIPPED:
            return Settlement(state=TaskState.SKIPPED, counters=used)
        case AttemptState.CANCELLED:
            return Settlement(state=TaskState.CANCELLED, counters=used)
        case AttemptState.DEFERRED:
            return Settlement(state=TaskState.DEFERRED, counters=used, not_before_us=wake_at_us)
        case AttemptState.RESCHEDULED:
            return Settlement(state=TaskState.UP_FOR_RESCHEDULE, counters=used, not_before_us=wake_at_us or now_us)
        case AttemptState.AWAITING_INPUT:
            return Settlement(state=TaskState.AWAITING_INPUT, counters=used, not_before_us=wake_at_us)
        case AttemptState.RETURNED:
            return Settlement(state=TaskState.QUEUED, counters=used)
        case AttemptState.LOST:
            used = replace(used, losses=used.losses + 1)
            # At once: whatever befell the worker, waiting on this task's account would not mend it.
            state = TaskState.QUEUED if used.losses <= policy.lost_budget else TaskState.FAILED
            return Settlement(state=state, counters=used)
        case AttemptState.FAILED:
            used = replace(used, failures=used.failures + 1)
            if not retryable or used.failures > policy.retries:
                return Settlement(state=TaskState.FAILED, counters=used)
            wait_us = retry_after_us
            if wait_us is None:
                wait_us = retry_delay_us(policy, failures=used.failures, u=u)
            return Settlement(state=TaskState.UP_FOR_RETRY, counters=used, not_before_us=now_us + wait_us)
        case AttemptState.ASSIGNED | AttemptState.RUNNING | AttemptState.CANCELLING:
            raise ValueError(f"an attempt that is {ended} has not ended")


def after_cancel(counters: Counters, *, was: TaskState) -> Settlement:
    """The task instance after a cancel has taken effect.

    Args:
        was: its state before. A try that was under way, or suspended, is used up.
    """
    return Settlement(state=TaskState.CANCELLED, counters=_end_open_try(counters, was))


def after_clear(counters: Counters, *, was: TaskState) -> Settlement:
    """The task instance after a clear: budgets are fresh, try numbers go on. Arguments as for `after_cancel`."""
    return Settlement(state=TaskState.QUEUED, counters=Counters(tries=_end_open_try(counters, was).tries))


def _end_open_try(counters: Counters, was: TaskState) -> Counters:
    return replace(counters, tries=counters.tries + 1) if was in _HOLDS_A_TRY_OPEN else counters

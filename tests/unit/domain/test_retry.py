from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.retry import (
    DAY_US,
    Counters,
    RetryPolicy,
    after_attempt,
    after_cancel,
    after_clear,
    retry_delay_us,
)
from crosswind_server.domain.states import AttemptState, TaskState

S = 1_000_000
NOW = 1_700_000_000 * S


NO_RETRIES, UNUSED = RetryPolicy(), Counters()


def settle(ended, *, policy=NO_RETRIES, counters=UNUSED, **more):
    return after_attempt(ended, counters=counters, policy=policy, now_us=NOW, **more)


def test_retries_are_used_up_by_failures():
    policy = RetryPolicy(retries=2, delay_us=10 * S, multiplier=3.0)
    counters, seen = Counters(), []
    for _ in range(3):
        after = settle(AttemptState.FAILED, policy=policy, counters=counters)
        counters = after.counters
        seen.append((after.state, after.not_before_us and after.not_before_us - NOW))
    assert seen == [(TaskState.UP_FOR_RETRY, 10 * S), (TaskState.UP_FOR_RETRY, 30 * S), (TaskState.FAILED, None)]
    assert counters == Counters(tries=3, failures=3)


def test_losses_have_a_budget_of_their_own():
    policy = RetryPolicy(retries=0, lost_budget=3)
    counters, states = Counters(), []
    for _ in range(4):
        after = settle(AttemptState.LOST, policy=policy, counters=counters)
        counters = after.counters
        states.append(after.state)
    assert states == [TaskState.QUEUED] * 3 + [TaskState.FAILED]
    assert counters == Counters(tries=4, losses=4)


def test_the_failure_has_the_last_word():
    policy = RetryPolicy(retries=5, delay_us=10 * S, jitter=1.0)
    assert settle(AttemptState.FAILED, policy=policy, retryable=False).state is TaskState.FAILED
    assert settle(AttemptState.FAILED, policy=policy, retry_after_us=7 * S, u=0.5).not_before_us == NOW + 7 * S
    assert settle(AttemptState.FAILED, policy=policy, retry_after_us=0, u=0.5).not_before_us == NOW


@pytest.mark.parametrize(
    ("ended", "state", "tries"),
    [
        (AttemptState.SUCCEEDED, TaskState.SUCCEEDED, 1),
        (AttemptState.SKIPPED, TaskState.SKIPPED, 1),
        (AttemptState.CANCELLED, TaskState.CANCELLED, 1),
        (AttemptState.DEFERRED, TaskState.DEFERRED, 0),
        (AttemptState.RESCHEDULED, TaskState.UP_FOR_RESCHEDULE, 0),
        (AttemptState.AWAITING_INPUT, TaskState.AWAITING_INPUT, 0),
        (AttemptState.RETURNED, TaskState.QUEUED, 0),
    ],
)
def test_other_ends(ended, state, tries):
    after = settle(ended, counters=Counters(tries=4, failures=1, losses=2))
    assert after.state is state
    assert after.counters == Counters(tries=4 + tries, failures=1, losses=2)
    assert after.counters.next_try_number == 5 + tries


def test_suspended_tasks_are_due_when_they_said():
    assert settle(AttemptState.DEFERRED, wake_at_us=NOW + 5).not_before_us == NOW + 5
    assert settle(AttemptState.DEFERRED).not_before_us is None
    assert settle(AttemptState.RESCHEDULED, wake_at_us=NOW + 5).not_before_us == NOW + 5
    assert settle(AttemptState.RESCHEDULED).not_before_us == NOW


@pytest.mark.parametrize("live", [AttemptState.ASSIGNED, AttemptState.RUNNING, AttemptState.CANCELLING])
def test_a_live_attempt_has_not_ended(live):
    with pytest.raises(ValueError, match="has not ended"):
        settle(live)


def test_clear_and_cancel_end_the_try_that_is_under_way():
    used = Counters(tries=2, failures=1, losses=1)
    assert after_cancel(used, was=TaskState.UP_FOR_RETRY).counters == used
    assert after_cancel(used, was=TaskState.RUNNING).counters == Counters(tries=3, failures=1, losses=1)
    assert after_cancel(used, was=TaskState.DEFERRED).counters.tries == 3
    assert after_clear(used, was=TaskState.CANCELLING).counters == Counters(tries=3)
    assert after_clear(used, was=TaskState.SUCCEEDED).counters == Counters(tries=2)


@given(
    delay=st.integers(0, DAY_US),
    multiplier=st.floats(1.0, 1e6),
    cap=st.integers(0, 2 * DAY_US),
    jitter=st.floats(0.0, 1.0),
    failures=st.integers(1, 100_000),
    u=st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_delay_stays_within_its_bounds(delay, multiplier, cap, jitter, failures, u):
    policy = RetryPolicy(delay_us=delay, multiplier=multiplier, max_delay_us=cap, jitter=jitter)
    steady = retry_delay_us(
        RetryPolicy(delay_us=delay, multiplier=multiplier, max_delay_us=cap), failures=failures, u=u
    )
    wait = retry_delay_us(policy, failures=failures, u=u)
    assert 0 <= wait <= steady <= cap
    assert wait >= int(steady * (1 - jitter)) - 1
    assert steady >= min(delay, cap)


def test_jitter_draws_the_named_share():
    half = RetryPolicy(delay_us=100, jitter=0.5)
    assert [retry_delay_us(half, failures=1, u=u) for u in (0.0, 0.5, 0.99)] == [50, 75, 99]


@pytest.mark.parametrize(
    "wrong",
    [{"retries": -1}, {"multiplier": 0.5}, {"multiplier": float("nan")}, {"jitter": 1.5}, {"delay_us": -1}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="retry policy"):
        RetryPolicy(**wrong)

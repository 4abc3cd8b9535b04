from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from crosswind_server.domain.readiness import Counts, Readiness, TriggerRule, judge, mapped_state, run_state
from crosswind_server.domain.states import RunState, TaskState

ENDS = ("succeeded", "failed", "upstream_failed", "skipped", "cancelled")
BAD = {"failed", "upstream_failed", "cancelled"}

# When every upstream task has ended, a rule is plain: said here over the list of ends, not over counts.
RUNS = {
    TriggerRule.ALL_SUCCESS: lambda ends: all(e == "succeeded" for e in ends),
    TriggerRule.ALL_FAILED: lambda ends: all(e in BAD for e in ends),
    TriggerRule.ALL_DONE: lambda ends: True,
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: lambda ends: "skipped" not in ends and "succeeded" in ends,
    TriggerRule.ALL_SKIPPED: lambda ends: all(e == "skipped" for e in ends),
    TriggerRule.ONE_SUCCESS: lambda ends: "succeeded" in ends,
    TriggerRule.ONE_FAILED: lambda ends: bool(BAD & set(ends)),
    TriggerRule.ONE_DONE: lambda ends: bool({"succeeded", "failed", "cancelled"} & set(ends)),
    TriggerRule.NONE_FAILED: lambda ends: not BAD & set(ends),
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: lambda ends: not BAD & set(ends) and "succeeded" in ends,
    TriggerRule.NONE_SKIPPED: lambda ends: "skipped" not in ends,
    TriggerRule.ALWAYS: lambda ends: True,
}


def counts(ends, total=None):
    return Counts(total=len(ends) if total is None else total, **Counter(ends))


def endings(size):
    return product(ENDS, repeat=size)


@pytest.mark.parametrize("rule", TriggerRule)
def test_with_all_upstream_done_a_rule_runs_exactly_when_its_name_says(rule):
    for size in (1, 2, 3, 4):
        for ends in endings(size):
            verdict = judge(rule, counts(ends))
            assert verdict is not Readiness.WAIT, (rule, ends)
            assert (verdict is Readiness.RUN) == RUNS[rule](ends), (rule, ends)


@pytest.mark.parametrize("rule", TriggerRule)
def test_an_early_verdict_is_never_wrong(rule):
    """Whatever the missing upstream tasks do, a task that was skipped or failed early would not have run."""
    for known, missing in ((0, 2), (1, 1), (1, 2), (2, 1), (2, 2)):
        for ends in endings(known):
            early = judge(rule, counts(ends, known + missing))
            late = {RUNS[rule](ends + rest) for rest in endings(missing)}
            if early in (Readiness.SKIP, Readiness.UPSTREAM_FAILED):
                assert late == {False}, (rule, ends)
            if early is Readiness.RUN:
                assert late == {True}, (rule, ends)


# As Airflow 3 decides, cancelled counted as failed.
@pytest.mark.parametrize(
    ("rule", "ends", "total", "verdict"),
    [
        ("all_success", ["succeeded"], 2, "wait"),
        ("all_success", ["succeeded", "skipped"], 3, "skip"),
        ("all_success", ["succeeded", "failed"], 3, "upstream_failed"),
        ("all_success", ["cancelled", "skipped"], 2, "upstream_failed"),
        ("all_failed", ["failed"], 2, "wait"),
        ("all_failed", ["skipped"], 2, "skip"),
        ("all_done_min_one_success", ["failed", "failed"], 2, "upstream_failed"),
        ("all_done_min_one_success", ["skipped"], 2, "skip"),
        ("all_skipped", ["failed"], 2, "skip"),
        ("one_success", ["succeeded"], 5, "run"),
        ("one_success", ["skipped", "skipped"], 2, "skip"),
        ("one_success", ["skipped", "failed"], 2, "upstream_failed"),
        ("one_failed", ["cancelled"], 5, "run"),
        ("one_failed", ["succeeded", "skipped"], 2, "skip"),
        ("one_done", ["upstream_failed"], 1, "skip"),
        ("one_done", ["failed"], 3, "run"),
        ("none_failed", ["skipped", "cancelled"], 3, "upstream_failed"),
        ("none_failed_min_one_success", ["skipped"], 1, "skip"),
        ("none_skipped", ["skipped"], 3, "skip"),
        ("always", [], 3, "run"),
    ],
)
def test_verdicts(rule, ends, total, verdict):
    assert judge(TriggerRule(rule), counts(ends, total)) is Readiness(verdict)


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_task_without_upstream_runs(rule):
    assert judge(rule, Counts(total=0)) is Readiness.RUN


@pytest.mark.parametrize(
    ("ends", "total", "state"),
    [
        ([], 0, TaskState.SKIPPED),
        (["succeeded", "failed"], 3, TaskState.EXPANDED),
        (["succeeded", "upstream_failed", "failed", "cancelled"], 4, TaskState.FAILED),
        (["succeeded", "upstream_failed", "cancelled"], 3, TaskState.UPSTREAM_FAILED),
        (["succeeded", "cancelled"], 2, TaskState.CANCELLED),
        (["succeeded", "skipped"], 2, TaskState.SUCCEEDED),
        (["skipped", "skipped"], 2, TaskState.SKIPPED),
    ],
)
def test_a_mapped_task_ends_as_its_worst_instance(ends, total, state):
    assert mapped_state(counts(ends, total)) is state


@pytest.mark.parametrize(
    ("tasks", "total", "leaves", "cancel", "state"),
    [
        (["succeeded"], 2, [], False, RunState.RUNNING),
        (["succeeded"], 2, [], True, RunState.CANCELLING),
        (["succeeded", "cancelled"], 2, ["cancelled"], True, RunState.CANCELLED),
        (["succeeded", "succeeded"], 2, ["succeeded"], True, RunState.CANCELLED),
        (["failed", "upstream_failed"], 2, ["upstream_failed"], False, RunState.FAILED),
        (["succeeded", "cancelled"], 2, ["cancelled"], False, RunState.FAILED),
        (["failed", "succeeded"], 2, ["succeeded"], False, RunState.SUCCEEDED),
        (["succeeded", "skipped"], 2, ["skipped"], False, RunState.SUCCEEDED),
        ([], 0, [], False, RunState.SUCCEEDED),
    ],
)
def test_a_run_ends_by_its_leaves(tasks, total, leaves, cancel, state):
    assert run_state(counts(tasks, total), counts(leaves), cancel_requested=cancel) is state


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="more task instances"):
        Counts(total=1, failed=2)
    with pytest.raises(ValueError, match="more task instances"):
        Counts(total=1, failed=-1)

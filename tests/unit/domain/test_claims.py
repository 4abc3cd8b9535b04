"""What comes first, what is kept for what waits, and what is one class of claims."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosswind_server.domain.claims import (
    AGE_OF_A_POINT_US,
    PATIENCE_US,
    ClaimClass,
    LabelPlan,
    WorkerTraits,
    left_of,
    missing,
    rank_of,
    read_labels,
    task_limit_key,
)

TIMES = st.integers(0, 2**50)
PRIORITIES = st.integers(-1_000, 1_000)


@given(TIMES, PRIORITIES, TIMES, PRIORITIES)
def test_a_point_is_worth_a_minute_of_waiting_and_nothing_else_counts(t: int, p: int, u: int, q: int):
    assert (rank_of(t, p) < rank_of(u, q)) == (t - u < (p - q) * AGE_OF_A_POINT_US)


@given(TIMES, PRIORITIES, PRIORITIES)
def test_nothing_starves(t: int, p: int, other: int):
    """Whatever is queued long enough after an instance comes behind it."""
    later = t + max(0, other - p) * AGE_OF_A_POINT_US + 1
    assert rank_of(t, p) < rank_of(later, other)


SLOTS = st.integers(0, 50)
WANTED = st.integers(1, 50)
WAITS = st.integers(0, 2 * PATIENCE_US)


@given(SLOTS, WANTED, WAITS, st.booleans())
def test_what_is_left_is_never_more_than_was_free_nor_less_than_nothing(free: int, wanted: int, wait: int, hand: bool):
    left = left_of(free, wanted=wanted, waited_us=wait, at_hand=hand)
    assert 0 <= left <= free
    if wait < PATIENCE_US:
        assert left == free
    # What is kept is enough, or all that there is.
    assert left in (free, 0) or free - left == wanted


@pytest.mark.parametrize(
    ("wanted", "waited_us", "at_hand", "left"),
    [
        (3, PATIENCE_US - 1, True, 2),
        (3, PATIENCE_US, True, 0),
        (3, PATIENCE_US, False, 0),
        (2, PATIENCE_US, True, 0),
        (1, PATIENCE_US, True, 1),
        (1, PATIENCE_US, False, 2),
    ],
)
def test_two_slots_are_kept_for_what_is_patient(wanted: int, waited_us: int, at_hand: bool, left: int):
    assert left_of(2, wanted=wanted, waited_us=waited_us, at_hand=at_hand) == left


CLASS = ClaimClass(team="t", offer_key="dag:v", queue="q")
LABELS = st.lists(st.builds(LabelPlan, st.text(max_size=5), st.text(max_size=5), st.booleans()), max_size=4).map(tuple)


@given(LABELS)
def test_labels_are_read_as_they_were_written_and_their_order_says_nothing(labels: tuple[LabelPlan, ...]):
    made = replace(CLASS, labels=labels)
    assert read_labels(made.labels_json) == tuple(sorted(labels))
    assert made.id == replace(CLASS, labels=labels[::-1]).id


@pytest.mark.parametrize(
    "change",
    [
        {"team": "u"},
        {"offer_key": "dag:w"},
        {"queue": "r"},
        {"role": "triggers"},
        {"slots": 2},
        {"pool": "p"},
        {"pool_slots": 2},
        {"task_limit": "d/a"},
        {"labels": (LabelPlan("k", "v", True),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_matters_to_a_worker_makes_another_class(change: dict[str, object]):
    assert replace(CLASS, **change).id != CLASS.id  # type: ignore[arg-type]  # the parameters name the fields
    assert replace(CLASS).id == CLASS.id


def test_classes_of_references_come_behind_those_of_dags():
    reference = replace(CLASS, offer_key="ref:b/Load")
    assert CLASS.id < "ref" < reference.id
    assert len(reference.id) <= 40


def test_labels_that_are_missing():
    asked = (LabelPlan("gpu", "a100", True), LabelPlan("zone", "b", False))
    assert missing(asked, {"gpu": "a100"}, required=True) == []
    assert missing(asked, {"gpu": "a100"}, required=False) == [asked[1]]
    assert missing(asked, {"gpu": "t4", "zone": "b"}, required=True) == [asked[0]]


@pytest.mark.parametrize(
    ("change", "can"),
    [({}, True), ({"queue": "r"}, False), ({"role": "triggers"}, False), ({"slots": 5}, False), ({"slots": 4}, True)],
)
def test_what_a_worker_could_ever_take(change: dict[str, object], can: bool):
    worker = WorkerTraits(queues=("q",), roles=("tasks",), labels={"gpu": "a100"}, slots=4)
    asked: dict[str, object] = {"queue": "q", "role": "tasks", "slots": 1, "labels": (), **change}
    assert worker.could_ever_take(**asked) is can  # type: ignore[arg-type]  # as above
    for_another = {**asked, "labels": (LabelPlan("gpu", "t4", True),)}
    assert not worker.could_ever_take(**for_another)  # type: ignore[arg-type]  # as above
    preferring = {**asked, "labels": (LabelPlan("gpu", "t4", False),)}
    assert worker.could_ever_take(**preferring) is can  # type: ignore[arg-type]  # as above


def test_the_key_of_a_bound_names_dag_and_task():
    assert task_limit_key("d", "a.b") == "d/a.b"

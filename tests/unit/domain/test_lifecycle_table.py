"""The table itself: complete, consistent, and what `transition` makes of it."""

from __future__ import annotations

import pytest

from crosswind_server.domain import diagram, lifecycle
from crosswind_server.domain.errors import CODE_OF, Code, Reason, Refused
from crosswind_server.domain.leases import may_expire, overdue
from crosswind_server.domain.lifecycle import (
    ENDED,
    LIVE,
    MAX_DELIVERIES,
    OUTCOMES,
    TABLE,
    Attempt,
    Event,
    LeaseEffect,
    LifecycleError,
    Reply,
    TaskEffect,
    answer_unknown,
    transition,
)
from crosswind_server.domain.rules import RULES
from crosswind_server.domain.states import AttemptState

S = AttemptState
CELLS = [pytest.param(state, event, id=f"{state} x {event}") for state in AttemptState for event in Event]


def test_every_state_and_event_has_a_cell():
    assert set(TABLE) == {(state, event) for state in AttemptState for event in Event}
    assert set(AttemptState) == LIVE | ENDED
    assert not LIVE & ENDED


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_cells_are_consistent(state: AttemptState, event: Event):
    cell = TABLE[state, event]
    assert cell.rules
    assert set(cell.rules) <= set(RULES)
    assert cell.why
    moves = cell.next_state is not state
    assert (cell.lease is LeaseEffect.REVOKE) == (state in LIVE and cell.next_state in ENDED), "an end revokes"
    if state in ENDED:
        assert not moves, "an end stays [FIN-1]"
        assert cell.lease is LeaseEffect.KEEP
    if isinstance(cell.reply, Reason):
        assert not moves, "a refusal changes nothing"
        assert cell.task_effect is TaskEffect.NONE
    if moves:
        assert cell.task_effect is not TaskEffect.NONE, "the task instance follows its attempt"
    if cell.task_effect is TaskEffect.CLOSE:
        assert state is S.CANCELLING
    if cell.next_state is S.RUNNING and moves:
        assert (state, event) == (S.ASSIGNED, Event.START), "nothing else starts an attempt [LEASE-2]"
    if state is S.CANCELLING:
        assert cell.next_state in (S.CANCELLING, S.CANCELLED, S.LOST), "a cancelled attempt never succeeds [LEASE-4]"


def test_the_sets_for_sql_guards():
    assert {S.RUNNING} == lifecycle.ACCEPTS_WRITES
    assert {S.RUNNING, S.CANCELLING} == lifecycle.ACCEPTS_FINISH
    assert set(S) == lifecycle.ACCEPTS_LOGS
    assert {S.ASSIGNED} == lifecycle.STARTABLE == lifecycle.REDELIVERABLE == lifecycle.RETURNABLE
    assert {S.RUNNING, S.CANCELLING} == lifecycle.EXPIRABLE == lifecycle.EXTENDED_BY_HEARTBEAT


IMPOSSIBLE = sorted(key for key, cell in TABLE.items() if cell.reply is Reply.IMPOSSIBLE)


@pytest.mark.parametrize(("state", "event"), IMPOSSIBLE)
def test_impossible_events_are_defects_of_the_caller(state: AttemptState, event: Event):
    outcome_id = "o" if event in OUTCOMES else None
    with pytest.raises(LifecycleError):
        transition(Attempt(attempt_id="a", state=state), event, outcome_id=outcome_id)


def test_a_finish_needs_an_outcome_id():
    with pytest.raises(ValueError, match="outcome id"):
        transition(Attempt(attempt_id="a", state=S.RUNNING), Event.FINISH_FAILED)


@pytest.mark.parametrize("event", OUTCOMES)
def test_the_same_id_answers_ok_whatever_outcome_it_names(event: Event):
    ended = transition(Attempt(attempt_id="a", state=S.RUNNING), event, outcome_id="o").attempt
    for again in OUTCOMES:
        step = transition(ended, again, outcome_id="o")
        assert (step.event, step.reply, step.attempt) == (Event.DUPLICATE_FINISH, Reply.OK, ended)
        other = transition(ended, again, outcome_id="p")
        assert isinstance(other.reply, Refused)
        assert (other.event, other.reply.reason, other.attempt) == (
            Event.CONFLICTING_FINISH,
            Reason.OUTCOME_CONFLICT,
            ended,
        )


def test_a_lease_is_delivered_five_times():
    attempt = Attempt(attempt_id="a")
    for delivery in range(2, MAX_DELIVERIES + 1):
        step = transition(attempt, Event.REDELIVER)
        attempt = step.attempt
        assert (step.reply, attempt.deliveries) == (Reply.LEASE, delivery)
    step = transition(attempt, Event.REDELIVER)
    assert (step.attempt.state, step.event) == (S.FAILED, Event.REDELIVERY_EXHAUSTED)


def test_refusals_name_the_attempt_and_the_way_out():
    step = transition(Attempt(attempt_id="0192-a", state=S.LOST), Event.WRITE)
    assert isinstance(step.reply, Refused)
    assert step.reply.code is Code.FAILED_PRECONDITION
    assert step.reply.message == (
        "Attempt 0192-a has ended (LOST) and its lease is no longer valid; stop its process and drop its result."
    )
    assert step.reply.metadata == {"attempt_id": "0192-a", "state": "LOST"}
    assert str(step.reply).startswith("FAILED_PRECONDITION/STALE_LEASE: Attempt 0192-a")


def test_every_refusal_of_the_table_has_a_sentence():
    for cell in TABLE.values():
        if isinstance(cell.reply, Reason):
            assert "x7" in lifecycle.refusal(cell.reply, attempt_id="x7", state=cell.next_state).message


def test_unknown_attempts_are_lost_or_refused():
    assert answer_unknown(Event.HEARTBEAT, attempt_id="a") is Reply.LOST
    refused = answer_unknown(Event.FINISH_SUCCEEDED, attempt_id="a")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, Reason.UNKNOWN_ATTEMPT)


def test_every_reason_has_one_code():
    assert set(CODE_OF) == set(Reason)
    assert all(reason.name == reason.value for reason in Reason)


def test_nothing_expires_before_the_server_listened_for_a_whole_lease():
    assert not may_expire(1000.0, None, 30.0)
    assert not may_expire(1000.0, 970.5, 30.0)
    assert may_expire(1000.0, 970.0, 30.0)


def test_the_instant_of_a_deadline_still_counts():
    assert not overdue(due_us=30, now_us=30)
    assert overdue(due_us=30, now_us=31)


def test_the_page_is_the_one_that_the_table_draws(capsys):
    assert diagram.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_fails_when_the_page_differs(tmp_path, capsys):
    page = tmp_path / "docs" / "lifecycle.md"
    assert diagram.main(["--check", "--output", str(page)]) == 1
    assert diagram.main(["--output", str(page)]) == 0
    assert diagram.main(["--check", "--output", str(page)]) == 0
    page.write_text(page.read_text().replace("STALE_LEASE", "OK", 1))
    assert diagram.main(["--check", "--output", str(page)]) == 1
    assert "run `python -m crosswind_server.domain.diagram`" in capsys.readouterr().err

from __future__ import annotations

import pytest

from crosswind_server.domain.errors import Code, Reason, Refused
from crosswind_server.domain.registration import Admission, Incumbent, admit
from crosswind_server.domain.states import WorkerState

S = 1_000_000


def ask(*, state=WorkerState.ACTIVE, me="new", own=None, folder=None, heard=100, now=101, listening=0):
    incumbent = None if state is None else Incumbent(instance_id="old", state=state, heard_us=heard * S)
    return admit(
        "w1",
        incumbent,
        instance_id=me,
        own_state=own,
        predecessor_id=folder,
        now_us=now * S,
        listening_since_us=listening * S,
        heartbeat_us=5 * S,
    )


@pytest.mark.parametrize("state", [None, WorkerState.SUPERSEDED, WorkerState.LOST, WorkerState.GONE])
def test_a_free_name_is_given(state):
    assert ask(state=state) is Admission.NEW


@pytest.mark.parametrize("state", [WorkerState.ACTIVE, WorkerState.DRAINING])
def test_a_live_name_is_refused(state):
    with pytest.raises(Refused, match="A live worker already has the name 'w1'") as refused:
        ask(state=state, now=110)
    assert (refused.value.code, refused.value.reason) == (Code.ALREADY_EXISTS, Reason.WORKER_NAME_IN_USE)


def test_silence_or_the_state_folder_gives_the_name_away():
    assert ask(now=111) is Admission.SUPERSEDE
    assert ask(folder="old") is Admission.SUPERSEDE
    with pytest.raises(Refused):
        ask(folder="another")


def test_silence_counts_only_while_the_server_listens():
    with pytest.raises(Refused):
        ask(now=500, listening=490)
    assert ask(now=501, listening=490) is Admission.SUPERSEDE


@pytest.mark.parametrize("state", [WorkerState.ACTIVE, WorkerState.DRAINING, WorkerState.LOST])
def test_the_same_instance_resumes(state):
    assert ask(state=state, me="old", own=state) is Admission.RESUME


@pytest.mark.parametrize("own", [WorkerState.SUPERSEDED, WorkerState.GONE])
def test_a_replaced_instance_needs_a_new_id(own):
    with pytest.raises(Refused, match="register a new instance") as refused:
        ask(me="older", own=own)
    assert refused.value.reason is Reason.WORKER_SUPERSEDED

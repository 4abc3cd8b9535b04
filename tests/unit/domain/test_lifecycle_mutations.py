"""Every cell of the table matters: change one, and a transcript or the twin notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from crosswind_server.domain.errors import Reason
from crosswind_server.domain.lifecycle import TABLE, Cell, Event, LeaseEffect, Reply, Table, TaskEffect
from crosswind_server.domain.states import AttemptState
from tests.lifecycle.lockstep import Lockstep
from tests.lifecycle.transcript import Transcript, load_all
from tests.lifecycle.world import World

Key = tuple[AttemptState, Event]


def visitors() -> dict[Key, list[Transcript]]:
    """Which transcripts read a cell, the shortest first: only they can notice that it changed."""
    found: dict[Key, list[Transcript]] = {}
    for transcript in sorted(load_all(), key=lambda t: len(t.blocks)):
        world = World()
        for command in transcript.commands():
            world.execute(command)
        for key in world.visited:
            found.setdefault(key, []).append(transcript)
    return found


VISITORS = visitors()


def mutations(cell: Cell) -> Iterator[Cell]:
    """The cell with another next state, live and ended; another reply, kind and refused; without its effects."""
    for state in (AttemptState.ASSIGNED, AttemptState.RUNNING, AttemptState.SUCCEEDED, AttemptState.LOST):
        if state is not cell.next_state:
            yield replace(cell, next_state=state)
    for reply in (Reply.OK, Reply.NONE, Reply.LEASE, Reason.STALE_LEASE, Reason.OUTCOME_CONFLICT):
        if reply is not cell.reply:
            yield replace(cell, reply=reply)
    if cell.task_effect is not TaskEffect.NONE:
        yield replace(cell, task_effect=TaskEffect.NONE)
    if cell.lease is LeaseEffect.EXTEND:
        yield replace(cell, lease=LeaseEffect.KEEP)


MUTABLE = [key for key, cell in TABLE.items() if cell.reply is not Reply.IMPOSSIBLE]
SILENT = frozenset({Event.DRAIN, Event.SERVER_START, Event.FAILOVER, Event.CANCEL, Event.CLEAR, Event.EXPIRE})
SILENT |= {Event.EXECUTION_TIMEOUT, Event.START_DEADLINE, Event.SUPERSEDE, Event.DEREGISTER}
"""Events whose reply the world shows to nobody: the person's answer to cancel and clear is the task's state."""


def matters(key: Key, mutant: Cell) -> bool:
    cell = TABLE[key]
    return mutant.reply == cell.reply or key[1] not in SILENT


def transcript_notices(table: Table, transcript: Transcript) -> bool:
    try:
        return not transcript.agrees(World(table))
    # Any exception from a broken table is a notice: an impossible event, a state that nothing can settle.
    except Exception:
        return True


def twin_notices(table: Table, transcript: Transcript) -> bool:
    pair = Lockstep(table)
    try:
        for command in transcript.commands():
            pair.execute(command)
    except Exception:
        return True
    return False


@pytest.mark.parametrize("event", Event, ids=lambda e: e.value)
def test_a_transcript_notices_every_changed_cell(event: Event):
    unnoticed = []
    for key in MUTABLE:
        if key[1] is not event:
            continue
        for mutant in mutations(TABLE[key]):
            table = {**TABLE, key: mutant}
            if matters(key, mutant) and not any(transcript_notices(table, t) for t in VISITORS[key]):
                unnoticed.append(f"{key[0]} x {key[1]}: {mutant}")
    assert not unnoticed, "\n".join(unnoticed)


def test_the_twin_notices_a_changed_cell_where_the_state_moves():
    moving = [key for key in MUTABLE if TABLE[key].next_state is not key[0]]
    assert len(moving) > 25
    unnoticed = []
    for key in moving:
        state, event = key
        for mutant in (replace(TABLE[key], next_state=state), replace(TABLE[key], task_effect=TaskEffect.NONE)):
            if not any(twin_notices({**TABLE, key: mutant}, t) for t in VISITORS[key]):
                unnoticed.append(f"{state} x {event}: {mutant}")
    assert not unnoticed, "\n".join(unnoticed)


def test_an_unchanged_table_is_noticed_by_nobody():
    table = dict(TABLE)
    assert not any(transcript_notices(table, t) or twin_notices(table, t) for t in load_all())

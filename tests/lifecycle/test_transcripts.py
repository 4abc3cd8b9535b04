"""Plays every transcript on the pure model, and beside its twin; lists the rules that none covers."""

from __future__ import annotations

import os

import pytest

from crosswind_server.domain.lifecycle import TABLE, Reply
from crosswind_server.domain.rules import RULES
from crosswind_server.domain.transitions import RUNS, TASKS
from tests.lifecycle.lockstep import Lockstep
from tests.lifecycle.transcript import Transcript, load_all, rewrite
from tests.lifecycle.world import World

TRANSCRIPTS = load_all()
each = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda t: t.name)


@each
def test_prints_what_is_written(transcript: Transcript):
    if os.environ.get("CROSSWIND_REWRITE"):
        rewrite(transcript, World())
        return
    for block, printed in transcript.play(World()):
        assert printed == block.expected, f"{transcript.name}:\n{block.commands_text()}"


@each
def test_agrees_with_the_twin(transcript: Transcript):
    pair = Lockstep()
    for command in transcript.commands():
        pair.execute(command)


@each
def test_is_about_the_rules_it_names(transcript: Transcript):
    world = World()
    for command in transcript.commands():
        world.execute(command)
    assert transcript.rules, f"{transcript.name} has no '# rules:' line"
    # WORKER-1 also refuses names, which no cell of the table does.
    assert transcript.rules - {"WORKER-1"} <= world.rules


def test_every_rule_of_the_table_is_covered():
    cited = {rule for cell in TABLE.values() for rule in cell.rules}
    assert cited <= set(RULES), "a cell cites a rule that has no sentence"
    assert set(RULES) == cited | TASKS.rules | RUNS.rules, (
        "a rule is cited by no cell, or a row cites one that has no sentence"
    )
    uncovered = sorted(cited - {rule for transcript in TRANSCRIPTS for rule in transcript.rules})
    assert not uncovered, f"no transcript is about {', '.join(uncovered)}"


def test_every_cell_that_can_be_reached_is_visited():
    visited = set()
    for transcript in TRANSCRIPTS:
        world = World()
        for command in transcript.commands():
            world.execute(command)
        visited |= world.visited
    missing = [f"{s} x {e}" for (s, e), cell in TABLE.items() if cell.reply is not Reply.IMPOSSIBLE]
    missing = [name for name in missing if name not in {f"{s} x {e}" for s, e in visited}]
    assert not missing, f"no transcript visits {missing}"

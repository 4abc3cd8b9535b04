"""What becomes of instances that wait is decided by `domain.decision`; here it is given what it asks for, and carried
out. [SCHED-2]

Here belongs deciding one after another what the end of others, or the beginning of the run, may have made ready.
Deciding an instance that is not ready changes nothing, so it may be done as often as anybody likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from crosswind_server.domain.decision import Decision, Fact, Facts, Step, decide
from crosswind_server.domain.hearing import setups_of
from crosswind_server.domain.readiness import Counts
from crosswind_server.domain.states import TaskState
from crosswind_server.services.flow import groups, latest, past
from crosswind_server.services.flow.board import Board
from crosswind_server.services.flow.expansion import are_held_by_earlier, expand
from crosswind_server.services.flow.facts import facts_of
from crosswind_server.services.flow.rows import Instance

_Asked = list[tuple[Instance, Facts]]


def decide_all(board: Board, budget: int) -> int:
    """Decide what is to be judged on a board; answers what is left of the budget of rows."""
    waiting = [each for each in board.unjudged.values() if each.state == TaskState.WAITING]
    board.unjudged = {}
    board.load_tasks((each.run_key, each.task_index) for each in waiting if each.map_index >= 0)
    round_ = _Round(board)
    for instance in waiting:
        # All that waits of a run is judged when that has another version.
        if instance.id not in board.stale and not board.runs[instance.run_key].renewing:
            round_.decide(instance, _facts(board, instance))
    for fact in Fact:
        for instance, facts in _find_out(board, fact, round_.asked[fact]):
            round_.decide(instance, facts)
    return round_.release(budget)


def _facts(board: Board, instance: Instance) -> Facts:
    run = board.runs[instance.run_key]
    plan = board.plan_of(run)
    whole = board.tasks[instance.run_key, instance.task_index] if instance.map_index >= 0 else None
    return facts_of(
        plan,
        plan.tasks[instance.task_index],
        instance,
        whole=whole,
        stopping=run.final_state is not None,
        past=past.standing_of(board, instance),
    )


@dataclass(slots=True)
class _Round:
    """What was decided of instances, until it is carried out."""

    board: Board
    asked: dict[Fact, _Asked] = field(default_factory=lambda: {fact: [] for fact in Fact})
    mapped: list[Instance] = field(default_factory=list)
    wholes: list[Instance] = field(default_factory=list)
    outdated: list[Instance] = field(default_factory=list)

    def decide(self, instance: Instance, facts: Facts) -> None:
        """Decide one, and carry out at once what others do not take part in."""
        board = self.board
        decision = decide(board.task_of(instance), facts)
        match decision.step:
            case Step.WAIT:
                pass
            case Step.ASK:
                assert decision.asks is not None
                self.asked[decision.asks].append((instance, facts))
            case Step.RUN:
                _remember_skips(instance, decision)
                board.queue(instance)
            case Step.SKIP:
                _remember_skips(instance, decision)
                board.end(instance, TaskState.SKIPPED)
            case Step.UPSTREAM_FAILED:
                _remember_skips(instance, decision)
                board.end(instance, TaskState.UPSTREAM_FAILED)
            case Step.EXPAND:
                self.mapped.append(instance)
            case Step.EXPAND_GROUP:
                self.wholes.append(instance)
            case Step.DECIDE_LATEST:
                self.outdated.append(instance)

    def release(self, budget: int) -> int:
        """Let go on what is more than one row; answers what is left of the budget of rows."""
        latest.decide(self.board, self.outdated)
        if self.mapped:
            budget = expand(self.board, self.mapped, budget=budget)
        return groups.expand(self.board, self.wholes, budget=budget)


def _remember_skips(instance: Instance, decision: Decision) -> None:
    instance.skips = None if decision.skips is None else decision.skips.to_json()


def _find_out(board: Board, fact: Fact, asked: Sequence[tuple[Instance, Facts]]) -> Iterator[tuple[Instance, Facts]]:
    """Read what was asked for, for all instances at once."""
    instances = [instance for instance, _ in asked]
    if not instances:
        return
    match fact:
        case Fact.SETUPS:
            for (instance, facts), setups in zip(asked, _setups_of(board, instances), strict=True):
                yield instance, replace(facts, setups=setups)
        case Fact.PAST:
            for (instance, facts), standing in zip(asked, past.look(board, instances), strict=True):
                yield instance, replace(facts, past=standing)
        case Fact.EARLIER:
            held = are_held_by_earlier(board, instances)
            for instance, facts in asked:
                yield instance, replace(facts, earlier=instance.id in held)


def _setups_of(board: Board, instances: Sequence[Instance]) -> list[Counts]:
    """How the setups of teardowns ended whose upstream tasks all have, and how those stand that guard a task."""
    keys = [[(each.run_key, *place) for place in setups_of(board.task_of(each), each.map_index)] for each in instances]
    board.load_all([key for several in keys for key in several])
    # In a mapped group, a setup that ended before it was expanded has no instances, and counts as a whole.
    missing = [key for several in keys for key in several if board.at(*key) is None]
    board.load_tasks((run_key, index) for run_key, index, _ in missing)
    rows = [[board.at(*key) or board.tasks[key[0], key[1]] for key in several] for several in keys]
    ended = [Counts.of(TaskState(row.state) for row in several if row.ended) for several in rows]
    return [replace(counts, total=len(several)) for counts, several in zip(ended, rows, strict=True)]

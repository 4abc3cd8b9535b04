"""What becomes of a task instance that waits: the scheduling decision, from what is known of it alone. [SCHED-2]

Here belongs the whole rule: trigger rules, skips, teardowns, mapped tasks and groups, and the run before, in the order
in which they count. It is decided as often as anybody likes, and changes nothing. What costs a query is left out at
first: the decision then asks for it, so that it is read only where it matters, and for many instances at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crosswind_server.domain.hearing import Heard
from crosswind_server.domain.plan import PastRule, TaskKind, TaskPlan
from crosswind_server.domain.readiness import Counts, Readiness, TriggerRule, judge
from crosswind_server.domain.scopes import judge_teardown
from crosswind_server.domain.skipping import EVERYTHING, Skips


class Place(StrEnum):
    """What an instance stands for."""

    ONE = "one"
    """Itself: the only instance of its task, or one of those that a mapped task has."""
    MAPPED_TASK = "mapped_task"
    """All instances of a task that is mapped by itself."""
    GROUP_TASK = "group_task"
    """All instances of a task in a mapped group."""


class Past(StrEnum):
    """How an instance stands towards the run before."""

    UNKNOWN = "unknown"
    FREE = "free"
    """There is none, or what the instance depends on ended well there."""
    HELD = "held"
    """Something there has not ended well, or somebody else is about to look."""


class Fact(StrEnum):
    """What a decision may ask for, in this order."""

    SETUPS = "setups"
    PAST = "past"
    EARLIER = "earlier"


class Awaited(StrEnum):
    """What an instance waits for."""

    UPSTREAM = "upstream"
    """Others before it, by its trigger rule."""
    SETUPS = "setups"
    """Setups in whose scope it is, though it is not directly after them."""
    SOURCES = "sources"
    """Those over whose outputs its group is mapped."""
    PAST = "past"
    """The run before."""
    EARLIER = "earlier"
    """Attempts of its instances from before it was cleared."""


class Step(StrEnum):
    """What becomes of it."""

    WAIT = "wait"
    ASK = "ask"
    """It cannot be said before a fact is known."""
    RUN = "run"
    EXPAND = "expand"
    """A mapped task is replaced by its instances."""
    EXPAND_GROUP = "expand_group"
    """A task of a mapped group is; they are made with those of the others."""
    DECIDE_LATEST = "decide_latest"
    """The server decides whether its run is the latest."""
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an instance that waits.

    Args:
        heard: what it has heard of its upstream tasks itself.
        place: what it stands for.
        around: of one instance in a mapped group: what its task as a whole has heard outside; else None.
        sources: of a task in a mapped group as a whole: over the outputs of how many tasks the group is mapped.
        setups: how the setups of a teardown ended, or those that guard a task stand; None: not known.
        past: how it stands towards the run before.
        earlier: of a mapped task: whether instances from before it was cleared are still alive; None: not known.
        stopping: whether its run is being stopped.
    """

    heard: Heard
    place: Place = Place.ONE
    around: Heard | None = None
    sources: int = 0
    setups: Counts | None = None
    past: Past = Past.UNKNOWN
    earlier: bool | None = None
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an instance.

    Args:
        step: what is done.
        awaits: what one that waits waits for; None: for nothing, since its run is being stopped.
        asks: what is to be found out before it is decided again.
        skips: what it skips when it has ended, as far as that is known before it ran; None: nothing.
    """

    step: Step
    awaits: Awaited | None = None
    asks: Fact | None = None
    skips: Skips | None = None


_STOPPING: Final = Decision(Step.WAIT)
_WAITS: Final = {each: Decision(Step.WAIT, awaits=each) for each in Awaited}
_ASKS: Final = {each: Decision(Step.ASK, asks=each) for each in Fact}
_STEPS: Final = {each: Decision(each) for each in Step}
_CUT_OFF: Final = {each: Decision(each, skips=EVERYTHING) for each in Step}
"""The same where all that comes afterwards is skipped."""


def place_of(task: TaskPlan, map_index: int) -> Place:
    """What an instance stands for, by its map index; a negative one is that of a task as a whole."""
    if task.mapping is None or map_index >= 0:
        return Place.ONE
    return Place.MAPPED_TASK if task.mapped_group is None else Place.GROUP_TASK


def decide(task: TaskPlan, facts: Facts) -> Decision:
    """What becomes of an instance that waits.

    Args:
        task: its task.
        facts: what is known of it.
    """
    if facts.stopping:
        return _STOPPING
    heard, around = facts.heard, facts.around
    told = [each for each in (heard.skips, None if around is None else around.skips) if each is not None]
    steps = _CUT_OFF if any(each.cascade for each in told) else _STEPS
    if any(each.itself for each in told):
        return steps[Step.SKIP]
    upstream = count_upstream(task, heard, around)
    if not task.is_teardown:
        readiness = judge(task.trigger_rule, upstream)
    elif facts.setups is None and upstream.done == upstream.total:
        return _ASKS[Fact.SETUPS]
    else:
        readiness = judge_teardown(upstream, facts.setups)
    if task.guards and readiness is Readiness.RUN and facts.place is not Place.GROUP_TASK:
        if facts.setups is None:
            return _ASKS[Fact.SETUPS]
        # A setup that did not succeed keeps its scope from running, whatever the rules of the tasks there.
        readiness = judge(TriggerRule.ALL_SUCCESS, facts.setups)
        if readiness is Readiness.WAIT:
            return _WAITS[Awaited.SETUPS]
    match readiness:
        case Readiness.SKIP:
            return steps[Step.SKIP]
        case Readiness.UPSTREAM_FAILED:
            return steps[Step.UPSTREAM_FAILED]
        case Readiness.WAIT if facts.place is not Place.GROUP_TASK:
            return _WAITS[Awaited.UPSTREAM]
        case _:
            # The instances of a task in a mapped group are made while it waits for what they wait for too.
            return _begin(task, facts, steps[Step.RUN])


def _begin(task: TaskPlan, facts: Facts, run: Decision) -> Decision:
    """What becomes of an instance that no task of its own run holds back."""
    if facts.place is Place.GROUP_TASK and facts.heard.sources < facts.sources:
        return _WAITS[Awaited.SOURCES]
    # A task inside a mapped group looks at the run before as a whole, before the group is expanded.
    if task.past is not PastRule.NONE and facts.around is None and facts.past is not Past.FREE:
        return _ASKS[Fact.PAST] if facts.past is Past.UNKNOWN else _WAITS[Awaited.PAST]
    if facts.place is Place.GROUP_TASK:
        return _STEPS[Step.EXPAND_GROUP]
    if facts.place is Place.MAPPED_TASK:
        if facts.earlier is None:
            return _ASKS[Fact.EARLIER]
        return _WAITS[Awaited.EARLIER] if facts.earlier else _STEPS[Step.EXPAND]
    return _STEPS[Step.DECIDE_LATEST] if task.kind is TaskKind.LATEST_ONLY else run


def count_upstream(task: TaskPlan, heard: Heard, around: Heard | None = None) -> Counts:
    """How the upstream tasks of an instance ended; one in a mapped group shares what its task has heard outside."""
    succeeded, failed, skipped = heard.succeeded, heard.failed, heard.skipped
    if around is not None:
        succeeded, failed, skipped = (
            succeeded + around.succeeded,
            failed + around.failed,
            skipped + around.skipped,
        )
    return Counts(total=len(task.upstream), succeeded=succeeded, failed=failed, skipped=skipped)

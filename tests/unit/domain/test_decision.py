"""The scheduling decision alone, heard end by end in any order, against a twin that looks at all ends at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswind_server import manifests
from crosswind_server.domain.decision import Awaited, Fact, Facts, Past, Place, Step, count_upstream, decide, place_of
from crosswind_server.domain.hearing import NOTHING, End, Heard, hear, setups_of, successors_of, upstream_of
from crosswind_server.domain.plan import DagPlan, TaskKind, TaskPlan
from crosswind_server.domain.readiness import Counts, TriggerRule
from crosswind_server.domain.skipping import ALL_DIRECT, EVERYTHING, Skips, skipped_by_branch
from crosswind_server.domain.states import TERMINAL_TASK_STATES, TaskState
from tests.lifecycle import graph_twin
from tests.lifecycle.graph_twin import READY, WAITING, Twin
from tests.lifecycle.graphs import RULES, Drawn, dags
from tests.lifecycle.scene.dag_text import read_dag
from tests.lifecycle.scene.text import cut_braces

EXAMPLES = 1_000
RUNS = 250
STATES = [TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED, TaskState.CANCELLED]


def plan_of(text: str) -> DagPlan:
    """The plan of a DAG as transcripts write it."""
    head, body = cut_braces(text.removeprefix("dag "))
    dag = read_dag(head, body, now_us=0)
    return manifests.read_dag(dag.SerializeToString(deterministic=True), dag_version_id="v")


# --- one instance -----------------------------------------------------------------------------------------------------


@cache
def star(rule: str, upstream: int, *, teardown: bool, inside: int) -> TaskPlan:
    """A task after so many others, the first of them in the mapped group that is around it where there are such."""
    grouped = ["group=g" if number < inside else "" for number in range(upstream)]
    names = ",".join(f"u{number}" for number in range(upstream))
    tasks = [f"u{number} {grouped[number]} {'kind=setup' if teardown else ''}" for number in range(upstream)]
    last = f"t rule={rule} {f'after={names}' if names else ''} {'group=g' if inside else ''}"
    if teardown:
        last += f" kind=teardown setups={names}" if names else " kind=teardown"
    head = ["group g map=item:[1,2]"] if inside else []
    return plan_of("dag d {\n" + "\n".join([*head, *tasks, last]) + "\n}").by_id["t"]


@st.composite
def hearings(draw: st.DrawFn) -> tuple[TaskPlan, list[tuple[int, End]]]:
    """A task, and how those before it end, in the order in which it hears of them."""
    upstream = draw(st.integers(0, 5))
    inside = draw(st.integers(0, upstream))
    task = star(draw(st.sampled_from(RULES)), upstream, teardown=draw(st.booleans()), inside=inside)
    skips = st.sampled_from([None, None, None, ALL_DIRECT, EVERYTHING, Skips(frozenset({99})), Skips(frozenset())])
    ends = [
        End(state, draw(skips))
        for state in draw(st.lists(st.sampled_from(STATES), min_size=upstream, max_size=upstream))
    ]
    return task, draw(st.permutations(list(zip(task.upstream, ends, strict=True))))


def expected(task: TaskPlan, ends: list[End], *, missing: int) -> tuple[Step, bool]:
    """What becomes of a task by all ends at once, and whether all that comes after it is skipped."""
    cascade = any(end.skips is not None and end.skips.cascade for end in ends)
    if not task.is_teardown and any(end.skips in (ALL_DIRECT, EVERYTHING) for end in ends):
        return Step.SKIP, cascade
    words = {TaskState.CANCELLED: graph_twin.FAILED}
    before = (*(words.get(end.state, end.state.value) for end in ends), *[WAITING] * missing)
    if task.is_teardown:
        said = graph_twin.tear_down(before, before)
    else:
        said = graph_twin.decide(task.trigger_rule.value, before)
    return STEPS_OF[said], cascade


@settings(max_examples=EXAMPLES, deadline=None)
@given(hearings())
def test_hearing_end_by_end_says_what_looking_at_all_says(story: tuple[TaskPlan, list[tuple[int, End]]]):
    task, told = story
    inside = frozenset(task.inner_upstream)
    own, around = NOTHING, NOTHING
    for number in range(len(told) + 1):
        ends = [end for _, end in told[:number]]
        facts = Facts(heard=own, around=around if task.mapped_group is not None else None)
        decision = decide(task, facts)
        if decision.asks is Fact.SETUPS:
            setups = Counts.of(end.state for end in ends)
            decision = decide(task, Facts(heard=own, around=facts.around, setups=setups))
        step, cascade = expected(task, ends, missing=len(told) - number)
        assert decision.step is step
        if step is not Step.WAIT:
            assert (decision.skips == EVERYTHING) == cascade
        if number < len(told):
            index, end = told[number]
            if index in inside:
                own = hear(task, own, end)
            else:
                around = hear(task, around, end)
                own = own if task.mapped_group is not None else around


@settings(max_examples=EXAMPLES, deadline=None)
@given(hearings(), st.randoms(use_true_random=False))
def test_the_order_of_ends_leaves_nothing_behind(story: tuple[TaskPlan, list[tuple[int, End]]], random):
    task, told = story
    one, other = NOTHING, NOTHING
    for _, end in told:
        one = hear(task, one, end)
    for _, end in random.sample(told, len(told)):
        other = hear(task, other, end)
    assert one == other


# --- whole runs -------------------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """A run that is kept in memory: what every task has heard, and who is still to hear of an end."""

    plan: DagPlan
    outdated: bool
    states: dict[int, TaskState] = field(default_factory=dict)
    heard: dict[int, Heard] = field(default_factory=dict)
    skips: dict[int, Skips | None] = field(default_factory=dict)
    untold: list[tuple[int, int]] = field(default_factory=list)

    def begin(self) -> None:
        """Nothing has ended."""
        for task in self.plan.tasks:
            self.states[task.index], self.heard[task.index] = TaskState.WAITING, NOTHING
        for index in self.plan.roots:
            self.judge(index)

    def end(self, index: int, state: TaskState, skips: Skips | None = None) -> None:
        """A task ends."""
        self.states[index], self.skips[index] = state, skips or self.skips.get(index)
        after = successors_of(self.plan.tasks[index], map_index=-1, expanded=False)
        self.untold += [(index, each) for each in after]

    def tell(self, ended: int, successor: int) -> None:
        """One task hears of the end of another."""
        self.untold.remove((ended, successor))
        task = self.plan.tasks[successor]
        if self.states[successor] is TaskState.WAITING and ended in task.upstream:
            end = End(self.states[ended], self.skips.get(ended))
            self.heard[successor] = hear(task, self.heard[successor], end)

    def judge(self, index: int) -> None:
        """Decide what becomes of a task, and carry it out."""
        if self.states[index] is not TaskState.WAITING:
            return
        task = self.plan.tasks[index]
        facts = Facts(heard=self.heard[index], place=place_of(task, -1), past=Past.FREE)
        decision = decide(task, facts)
        if decision.asks is Fact.SETUPS:
            several = [self.states[each] for each, _ in setups_of(task, -1)]
            ended = [state for state in several if state in TERMINAL_TASK_STATES]
            setups = replace(Counts.of(ended), total=len(several))
            decision = decide(task, Facts(heard=self.heard[index], setups=setups, past=Past.FREE))
        match decision.step:
            case Step.WAIT:
                assert decision.awaits in (Awaited.UPSTREAM, Awaited.SETUPS)
            case Step.RUN:
                self.states[index], self.skips[index] = TaskState.QUEUED, decision.skips
            case Step.SKIP:
                self.end(index, TaskState.SKIPPED, decision.skips)
            case Step.UPSTREAM_FAILED:
                self.end(index, TaskState.UPSTREAM_FAILED, decision.skips)
            case Step.DECIDE_LATEST:
                self.end(index, TaskState.SUCCEEDED, ALL_DIRECT if self.outdated else None)
            case _:
                raise AssertionError(f"{task.task_id}: {decision}")

    def settle(self) -> None:
        """Tell all who are to hear, wave by wave."""
        while self.untold:
            wave = list(self.untold)
            for ended, successor in wave:
                self.tell(ended, successor)
            for successor in dict.fromkeys(successor for _, successor in wave):
                self.judge(successor)

    def shown(self) -> dict[str, str]:
        """How its tasks stand, in the twin's words."""
        words = {TaskState.QUEUED: READY}
        return {
            task.task_id: words.get(self.states[task.index], self.states[task.index].value) for task in self.plan.tasks
        }


def outcome(task: TaskPlan, plan: DagPlan, data: st.DataObject) -> tuple[graph_twin.End, Skips | None]:
    """How a task ends that runs, as the twin is told it, and what that skips."""
    how = data.draw(st.sampled_from(("succeeded", "succeeded", "failed", "skipped")))
    follow, cut, skips = None, None, None
    after = [plan.tasks[index].task_id for index in task.downstream]
    if how == "succeeded" and task.kind is TaskKind.BRANCH and after:
        follow = tuple(sorted(data.draw(st.lists(st.sampled_from(after), unique=True))))
        skips = skipped_by_branch(plan, task, follow)
    if how == "succeeded" and task.kind is TaskKind.SHORT_CIRCUIT:
        cut = data.draw(st.sampled_from((None, "direct", "all")))
        skips = {None: None, "direct": ALL_DIRECT, "all": EVERYTHING}[cut]
    return graph_twin.End(task.task_id, None, how, follow=follow, cut=cut), skips


@settings(max_examples=RUNS, deadline=None)
@given(dags(ways=("alone",), most_runs=1), st.booleans(), st.data())
def test_runs_in_memory_go_as_the_twin_says(drawn: Drawn, outdated: bool, data: st.DataObject):
    plan = plan_of(drawn.text("d"))
    memory, twin = Memory(plan, outdated), Twin(drawn.nodes, outdated=outdated)
    memory.begin()
    while True:
        memory.settle()
        twin.settle()
        assert memory.shown() == twin.states
        ready = [index for index, state in memory.states.items() if state is TaskState.QUEUED]
        if not ready:
            break
        task = plan.tasks[data.draw(st.sampled_from(ready))]
        end, skips = outcome(task, plan, data)
        memory.end(task.index, TaskState(end.how), skips)
        twin.tell(end)
    assert all(state in graph_twin.ENDS for state in twin.states.values())


@settings(max_examples=RUNS, deadline=None)
@given(dags(ways=("alone",), most_runs=1), st.booleans(), st.data())
def test_whoever_hears_when_decides_by_what_it_was_told(drawn: Drawn, outdated: bool, data: st.DataObject):
    """Ends are told one by one, in any order, between the ends of others: each task goes by those that it was told."""
    plan = plan_of(drawn.text("d"))
    memory = Memory(plan, outdated)
    memory.begin()
    told: dict[int, list[End]] = {task.index: [] for task in plan.tasks}
    while True:
        ready = [(index, None) for index, state in memory.states.items() if state is TaskState.QUEUED]
        moves = sorted({*ready, *memory.untold}, key=str)
        if not moves:
            break
        index, successor = data.draw(st.sampled_from(moves))
        if successor is None:
            end, skips = outcome(plan.tasks[index], plan, data)
            memory.end(index, TaskState(end.how), skips)
            continue
        was = memory.states[successor]
        memory.tell(index, successor)
        memory.judge(successor)
        task, ends = plan.tasks[successor], told[successor]
        heard = memory.skips.get(index)
        covers = heard is not None and (heard.successors is None or successor in heard.successors)
        shown = None if heard is None else EVERYTHING if heard.cascade else ALL_DIRECT if covers else None
        if index in task.upstream:
            ends.append(End(memory.states[index], shown))
        if was is TaskState.WAITING:
            assert STEPS[memory.states[successor]] is expected_of(task, ends, memory)
    assert not [index for index, state in memory.states.items() if state is TaskState.WAITING]


STEPS_OF = {
    READY: Step.RUN,
    WAITING: Step.WAIT,
    graph_twin.SKIPPED: Step.SKIP,
    graph_twin.UPSTREAM_FAILED: Step.UPSTREAM_FAILED,
}
STEPS = {
    TaskState.WAITING: Step.WAIT,
    TaskState.QUEUED: Step.RUN,
    TaskState.SUCCEEDED: Step.RUN,  # One of kind `latest_only`, which needs no worker.
    TaskState.SKIPPED: Step.SKIP,
    TaskState.UPSTREAM_FAILED: Step.UPSTREAM_FAILED,
}


def expected_of(task: TaskPlan, ends: list[End], memory: Memory) -> Step:
    """The same as `expected`, with the setups of a teardown, which ended before it is asked about them."""
    missing = len(task.upstream) - len(ends)
    if not task.is_teardown:
        step, _ = expected(task, ends, missing=missing)
        guards = tuple(memory.states[index] for index in task.guards)
        states = tuple(state.value if state in TERMINAL_TASK_STATES else WAITING for state in guards)
        return STEPS_OF[graph_twin.decide("all_success", states)] if step is Step.RUN else step
    before = (*(end.state.value for end in ends), *[WAITING] * missing)
    said = graph_twin.tear_down(before, [memory.states[index].value for index in task.setups])
    return STEPS_OF[said]


# --- what is asked for, and what it waits for -------------------------------------------------------------------------


def test_what_costs_a_query_is_asked_for_when_nothing_else_holds_it_back():
    plan = plan_of("dag d { a; m after=a past=self map=a; }")
    task = plan.by_id["m"]
    facts = Facts(heard=NOTHING, place=Place.MAPPED_TASK)
    assert decide(task, facts).awaits is Awaited.UPSTREAM
    facts = Facts(heard=Heard(succeeded=1), place=Place.MAPPED_TASK)
    assert decide(task, facts).asks is Fact.PAST
    held = Facts(heard=facts.heard, place=Place.MAPPED_TASK, past=Past.HELD)
    assert decide(task, held).awaits is Awaited.PAST
    free = Facts(heard=facts.heard, place=Place.MAPPED_TASK, past=Past.FREE)
    assert decide(task, free).asks is Fact.EARLIER
    for earlier, (step, awaits) in {True: (Step.WAIT, Awaited.EARLIER), False: (Step.EXPAND, None)}.items():
        decision = decide(task, Facts(heard=facts.heard, place=Place.MAPPED_TASK, past=Past.FREE, earlier=earlier))
        assert (decision.step, decision.awaits) == (step, awaits)
    stopping = decide(task, Facts(heard=facts.heard, place=Place.MAPPED_TASK, stopping=True))
    assert (stopping.step, stopping.awaits) == (Step.WAIT, None)


def test_a_task_of_a_mapped_group_waits_as_a_whole_for_its_sources_only():
    plan = plan_of("dag d { group g map=item:list; list; x; a group=g after=x; b group=g after=a }")
    task = plan.by_id["b"]
    assert place_of(task, -1) is Place.GROUP_TASK
    assert place_of(task, 0) is Place.ONE
    waits = decide(task, Facts(heard=NOTHING, place=Place.GROUP_TASK, sources=1))
    assert waits.awaits is Awaited.SOURCES
    heard = hear(task, NOTHING, End(TaskState.SUCCEEDED, is_source=True))
    assert decide(task, Facts(heard=heard, place=Place.GROUP_TASK, sources=1)).step is Step.EXPAND_GROUP
    # An instance waits for its own index, and shares what was heard outside.
    assert sorted(upstream_of(task, 1)) == [(plan.by_id["list"].index, -1), (plan.by_id["a"].index, 1)]
    assert decide(task, Facts(heard=NOTHING, around=heard)).awaits is Awaited.UPSTREAM
    inner = hear(task, NOTHING, End(TaskState.SUCCEEDED))
    assert decide(task, Facts(heard=inner, around=heard)).step is Step.RUN
    assert count_upstream(task, inner, heard) == Counts(total=2, succeeded=2)


@pytest.mark.parametrize("state", STATES)
def test_counting_an_end_can_be_taken_back(state: TaskState):
    counts = Counts(total=3, succeeded=1)
    after = counts.counting(state)
    assert after.done == 2
    assert after.counting(state, -1) == counts
    assert counts.counting(TaskState.REMOVED) == counts


def test_for_one_done_alone_a_task_that_failed_upstream_is_no_end():
    for rule, wave in itertools.product(TriggerRule, (TaskState.UPSTREAM_FAILED, TaskState.FAILED)):
        heard = hear(star(rule.value, 1, teardown=False, inside=0), NOTHING, End(wave))
        is_skip = rule is TriggerRule.ONE_DONE and wave is TaskState.UPSTREAM_FAILED
        assert (heard.skipped, heard.failed) == ((1, 0) if is_skip else (0, 1))

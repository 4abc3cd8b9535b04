"""The slow, obvious twin of the scheduling decision: after each event it plays the whole run again from its beginning.

It knows no counters, no waves of successors and no database. A round looks at every task of the DAG and decides by how
the tasks before it stand; rounds follow each other until nothing changes. Whether a trigger rule can still be met it
finds by trying every way in which the tasks that have not ended could end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED = "succeeded", "failed", "skipped", "upstream_failed"
WAITING, READY, EXPANDED = "waiting", "ready", "expanded"
ENDS: Final = (SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED)
BAD: Final = (FAILED, UPSTREAM_FAILED)


@dataclass(frozen=True)
class Node:
    """A task.

    Args:
        after: the tasks before it.
        items: mapped over a list of so many items.
        over: mapped over what this task returns; it is one of `after`.
        kind: `normal`, `branch`, `short_circuit`, `setup` or `teardown`.
        setups: of a teardown: the setups before it.
        decisive: of a teardown: its failure fails the run.
    """

    name: str
    after: tuple[str, ...] = ()
    rule: str = "all_success"
    items: int | None = None
    over: str | None = None
    kind: str = "normal"
    setups: tuple[str, ...] = ()
    decisive: bool = False

    @property
    def mapped(self) -> bool:
        """Whether it has instances."""
        return self.items is not None or self.over is not None

    def text(self) -> str:
        """The task as transcripts write it."""
        words = [self.name]
        if self.after:
            words.append(f"after={','.join(self.after)}")
        if self.rule != "all_success":
            words.append(f"rule={self.rule}")
        if self.kind != "normal":
            words.append(f"kind={self.kind}")
        if self.setups:
            words.append(f"setups={','.join(self.setups)}")
        if self.decisive:
            words.append("fail_run")
        if self.items is not None:
            words.append(f"map={list(range(self.items))}".replace(" ", ""))
        if self.over is not None:
            words.append(f"map=x:{self.over}")
        return " ".join(words)


@dataclass(frozen=True)
class End:
    """A worker says how an instance ended.

    Args:
        index: of an instance of a mapped task.
        length: of the list that it returned; None: it returned one value.
        follow: the tasks that a branch chose.
        cut: of a short circuit: skip the `direct` tasks after it, or `all` of them.
    """

    name: str
    index: int | None
    how: str
    length: int | None = None
    follow: tuple[str, ...] | None = None
    cut: str | None = None


_Rule = Callable[[Sequence[str]], bool]

# Whether a rule is met by tasks that have all ended.
_MET: Final[Mapping[str, _Rule]] = {
    "all_success": lambda ends: all(end == SUCCEEDED for end in ends),
    "all_failed": lambda ends: all(end in BAD for end in ends),
    "all_done": lambda ends: True,
    "all_done_min_one_success": lambda ends: SUCCEEDED in ends and SKIPPED not in ends,
    "one_success": lambda ends: SUCCEEDED in ends,
    "one_failed": lambda ends: any(end in BAD for end in ends),
    "one_done": lambda ends: SUCCEEDED in ends or FAILED in ends,
    "none_failed": lambda ends: not any(end in BAD for end in ends),
    "none_failed_min_one_success": lambda ends: SUCCEEDED in ends and not any(end in BAD for end in ends),
    "none_skipped": lambda ends: SKIPPED not in ends,
    "always": lambda ends: True,
    "all_skipped": lambda ends: all(end == SKIPPED for end in ends),
}
# These do not wait for the others once they are met.
_IMPATIENT: Final = ("one_success", "one_failed", "one_done", "always")


def _unmet(rule: str, ended: Sequence[str]) -> str:
    """What becomes of a task whose rule cannot be met any more, by what has ended."""
    failed = any(end in BAD for end in ended)
    match rule:
        case "all_success" | "none_failed_min_one_success":
            return UPSTREAM_FAILED if failed else SKIPPED
        case "none_failed":
            return UPSTREAM_FAILED
        case "all_done_min_one_success":
            return SKIPPED if SKIPPED in ended else UPSTREAM_FAILED
        case "one_success":
            return SKIPPED if all(end == SKIPPED for end in ended) else UPSTREAM_FAILED
        case _:
            return SKIPPED


def decide(rule: str, before: Sequence[str]) -> str:
    """What a waiting task becomes, by the states of those before it: WAITING, READY, or an end."""
    if not before:
        return READY
    met = _MET[rule]
    ended = [state for state in before if state in ENDS]
    ways = [[state] if state in ENDS else list(ENDS) for state in before]
    if not any(met(ends) for ends in product(*ways)):
        return _unmet(rule, ended)
    if len(ended) == len(before) or (rule in _IMPATIENT and (rule == "always" or (bool(ended) and met(ended)))):
        return READY
    return WAITING


def _tear_down(before: Sequence[str], setups: Sequence[str]) -> str:
    """What a teardown becomes: it runs when all before it have ended, if one of its setups succeeded."""
    if any(state not in ENDS for state in before):
        return WAITING
    if not setups or SUCCEEDED in setups:
        return READY
    return SKIPPED if all(state == SKIPPED for state in setups) else UPSTREAM_FAILED


@dataclass
class Twin:
    """A run of a DAG. `history` is all that it remembers."""

    nodes: Sequence[Node]
    history: list[End] = field(default_factory=list)
    _told: list[End] = field(default_factory=list)
    _cut: set[str] = field(default_factory=set)

    def states(self) -> dict[str, str]:
        """The state of every instance, by name, after all of the history."""
        return self._replay()[0]

    def run_state(self) -> str:
        """How the run stands."""
        states = self.states()
        own = {node.name: states[node.name] for node in self.nodes}
        if any(state not in ENDS for state in own.values()):
            return "running"
        counted = [node for node in self.nodes if node.kind != "teardown" or node.decisive]
        leaves = {node.name for node in counted} - {name for node in counted for name in node.after}
        return FAILED if any(own[name] in BAD for name in leaves) else SUCCEEDED

    def _replay(self) -> tuple[dict[str, str], dict[str, int | None]]:
        states = {node.name: WAITING for node in self.nodes}
        lengths: dict[str, int | None] = {}
        self._told, self._cut = [], set()
        self._settle(states, lengths)
        for end in self.history:
            name = end.name if end.index is None else f"{end.name}[{end.index}]"
            assert states[name] == READY, f"{name} ends although it is {states[name]}"
            states[name] = end.how
            if end.how == SUCCEEDED:
                self._told.append(end)
            if end.how == SUCCEEDED and end.index is None:
                lengths[end.name] = end.length
            self._settle(states, lengths)
        return states, lengths

    def _settle(self, states: dict[str, str], lengths: dict[str, int | None]) -> None:
        """Rounds over all tasks, each by how everything stood at its beginning, until one changes nothing."""
        while True:
            seen = dict(states)
            for node in self.nodes:
                if seen[node.name] == WAITING:
                    self._decide(node, seen, states, lengths)
                elif seen[node.name] == EXPANDED:
                    states[node.name] = _of_instances([s for n, s in seen.items() if n.startswith(f"{node.name}[")])
            if states == seen:
                return

    def _decide(
        self, node: Node, seen: Mapping[str, str], states: dict[str, str], lengths: Mapping[str, int | None]
    ) -> None:
        if node.kind != "teardown" and any(self._skips(name, node.name, seen) for name in node.after):
            states[node.name] = SKIPPED
            if any(self._cuts_all(name, seen) for name in node.after):
                self._cut.add(node.name)
            return
        before = [seen[name] for name in node.after]
        setups = [seen[name] for name in node.setups]
        verdict = decide(node.rule, before) if node.kind != "teardown" else _tear_down(before, setups)
        if verdict == READY and node.kind != "teardown":
            verdict = self._guard(node, seen)
        if verdict != READY or not node.mapped:
            states[node.name] = verdict
            return
        count = node.items if node.over is None else self._length_of(node.over, seen, lengths)
        if count is None:
            states[node.name] = FAILED
        elif count == 0:
            states[node.name] = SKIPPED
        else:
            states[node.name] = EXPANDED
            for index in range(count):
                states[f"{node.name}[{index}]"] = READY

    def _guard(self, node: Node, seen: Mapping[str, str]) -> str:
        """What a task becomes that could run, by the setups in whose scope it is without being directly after them."""
        guards = []
        for setup in self.nodes:
            if setup.kind != "setup" or setup.name in node.after or node.name not in self._all_after(setup.name):
                continue
            closing = [each.name for each in self.nodes if setup.name in each.setups]
            if not closing or not self._all_after(node.name).isdisjoint(closing):
                guards.append(seen[setup.name])
        return decide("all_success", guards)

    def _skips(self, name: str, after: str, seen: Mapping[str, str]) -> bool:
        """Whether a task that has ended skips one directly after it, by its own choice or by one before it."""
        if seen[name] not in ENDS:
            return False
        end = next((each for each in self._told if each.name == name), None)
        if end is not None and end.follow is not None:
            return after not in end.follow and not any(after in self._all_after(each) for each in end.follow)
        return (end is not None and end.cut == "direct") or self._cuts_all(name, seen)

    def _cuts_all(self, name: str, seen: Mapping[str, str]) -> bool:
        """Whether all after a task is skipped: it cut the run off, was cut off, or tore down after that."""
        if any(each.name == name and each.cut == "all" for each in self._told):
            return True
        node = next(each for each in self.nodes if each.name == name)
        if node.kind != "teardown" and name not in self._cut:
            return False
        return any(self._cuts_all(each, seen) for each in node.after if seen[each] in ENDS)

    def _all_after(self, name: str) -> set[str]:
        found: set[str] = set()
        for node in self.nodes:
            if any(each == name or each in found for each in node.after):
                found.add(node.name)
        return found

    def _length_of(self, name: str, seen: Mapping[str, str], lengths: Mapping[str, int | None]) -> int | None:
        """How many items a task gives: its list's, or one for each of its instances that succeeded. None: no list."""
        source = next(node for node in self.nodes if node.name == name)
        if source.mapped:
            return sum(state == SUCCEEDED for other, state in seen.items() if other.startswith(f"{name}["))
        return lengths.get(name) if seen[name] == SUCCEEDED else 0


def _of_instances(states: Sequence[str]) -> str:
    if any(state not in ENDS for state in states):
        return EXPANDED
    if FAILED in states:
        return FAILED
    return SUCCEEDED if SUCCEEDED in states else SKIPPED

"""The slow, obvious twin of the scheduling decision: after each event it looks at every task of every run again.

It knows no counters, no waves of successors and no database. A round looks at every task of the DAG and decides by how
the tasks before it stand; rounds follow each other until nothing changes. Whether a trigger rule can still be met it
finds by trying every way in which the tasks that have not ended could end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED = "succeeded", "failed", "skipped", "upstream_failed"
WAITING, READY, EXPANDED = "waiting", "ready", "expanded"
ENDS: Final = (SUCCEEDED, FAILED, SKIPPED, UPSTREAM_FAILED)
BAD: Final = (FAILED, UPSTREAM_FAILED)
GOOD: Final = (SUCCEEDED, SKIPPED)


@dataclass(frozen=True)
class Group:
    """A mapped group: over a list of so many items, or over what a task returns, which is before all tasks inside."""

    name: str
    items: int | None = None
    over: str | None = None

    def text(self) -> str:
        """The group as transcripts write it."""
        return f"group {self.name} map=item:{_mapped_over(self.items, self.over)}"


def _mapped_over(items: int | None, over: str | None) -> str:
    return over if over is not None else str(list(range(items or 0))).replace(" ", "")


@dataclass(frozen=True)
class Node:
    """A task.

    Args:
        after: the tasks before it.
        items: mapped over a list of so many items.
        over: mapped over what this task returns; it is one of `after`.
        kind: `normal`, `branch`, `short_circuit`, `setup`, `teardown` or `latest_only`.
        setups: of a teardown: the setups before it.
        decisive: of a teardown: its failure fails the run.
        group: the mapped group around it.
        past: what it needs of the run before: `self` or `downstream`.
    """

    name: str
    after: tuple[str, ...] = ()
    rule: str = "all_success"
    items: int | None = None
    over: str | None = None
    kind: str = "normal"
    setups: tuple[str, ...] = ()
    decisive: bool = False
    group: Group | None = None
    past: str | None = None

    @property
    def mapped(self) -> bool:
        """Whether it is mapped by itself."""
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
        if self.past is not None:
            words.append(f"past={self.past}")
        if self.group is not None:
            words.append(f"group={self.group.name}")
        if self.mapped:
            over = _mapped_over(self.items, self.over)
            words.append(f"map={over if self.over is None else 'x:' + over}")
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


def key_of(name: str, index: int | None) -> str:
    """The name of an instance."""
    return name if index is None else f"{name}[{index}]"


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


@cache
def decide(rule: str, before: tuple[str, ...]) -> str:
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


def tear_down(before: Sequence[str], setups: Sequence[str]) -> str:
    """What a teardown becomes: it runs when all before it have ended, if one of its setups succeeded."""
    if any(state not in ENDS for state in before):
        return WAITING
    if not setups or SUCCEEDED in setups:
        return READY
    return SKIPPED if all(state == SKIPPED for state in setups) else UPSTREAM_FAILED


class Twin:
    """A run of a DAG.

    Args:
        nodes: its tasks, each after those that it waits for.
        before: the run before it, of the same DAG.
        outdated: whether it is not the latest of its DAG's schedule.
    """

    def __init__(self, nodes: Sequence[Node], before: Twin | None = None, *, outdated: bool = False) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.states = {node.name: WAITING for node in nodes}
        self._before = before
        self._outdated = outdated
        self._ends: dict[str, End] = {}
        """How instances ended that succeeded."""
        self._sizes: dict[str, int] = {}
        """Of the tasks that were expanded: how many instances they have, or will have."""
        self._made: set[str] = set()
        """The groups whose instances were made."""
        self._cutting: set[str] = set()
        """The instances after which all is skipped when they have ended."""
        self._held: set[str] = set()
        self._freed: set[str] = set()

    @property
    def run_state(self) -> str:
        """How the run stands."""
        own = {name: self.states[name] for name in self.nodes}
        if any(state not in ENDS for state in own.values()):
            return "running"
        counted = [node for node in self.nodes.values() if node.kind != "teardown" or node.decisive]
        leaves = {node.name for node in counted} - {name for node in counted for name in node.after}
        return FAILED if any(own[name] in BAD for name in leaves) else SUCCEEDED

    def tell(self, end: End) -> None:
        """An instance that was ready ends."""
        key = key_of(end.name, end.index)
        assert self.states[key] == READY, f"{key} ends although it is {self.states[key]}"
        self.states[key] = end.how
        if end.how == SUCCEEDED:
            self._ends[key] = end

    def settle(self) -> None:
        """Rounds over all tasks, each by how everything stood at its beginning, until one changes nothing.

        Then the instances of groups are made, and then those go on for whom the run before is looked at.
        """
        while self._play_round() or self._make_instances() or self._look_back():
            pass

    def _play_round(self) -> bool:
        seen = dict(self.states)
        for key in seen:
            name, _, index = key.removesuffix("]").partition("[")
            if seen[key] == WAITING:
                self._decide(self.nodes[name], int(index) if index else None, seen)
            elif seen[key] == EXPANDED:
                self._go_on(self.nodes[name], seen)
        return self.states != seen

    def _make_instances(self) -> bool:
        """Make those of groups of which no task waits any more."""
        made = False
        for group in {node.group.name: node.group for node in self.nodes.values() if node.group is not None}.values():
            members = [name for name, node in self.nodes.items() if node.group == group]
            if group.name in self._made or any(self.states[name] == WAITING for name in members):
                continue
            self._made.add(group.name)
            for name in members:
                self.states.update({key_of(name, index): WAITING for index in range(self._sizes.get(name, 0))})
                made = made or name in self._sizes
        return made

    def _look_back(self) -> bool:
        """Let those go on that depend on the run before, where it has ended well."""
        assert self._before is not None or not self._held
        found = {name for name in self._held if self.states[name] == WAITING and self._is_good_before(name)}
        self._freed |= found
        self._held -= found
        return bool(found)

    def _is_good_before(self, name: str) -> bool:
        assert self._before is not None
        needed = [name, *(self._directly_after(name) if self.nodes[name].past == "downstream" else ())]
        return all(self._before.states[each] in GOOD for each in needed)

    # How tasks before stand

    def _upstream(self, node: Node, index: int | None, seen: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """By the names of the tasks before: the instance there that counts, and its state."""
        found = {}
        for name in node.after:
            inside = node.group is not None and self.nodes[name].group == node.group and name in self._sizes
            key = key_of(name, index) if inside else name
            # The task as a whole does not hear of those inside; its instances do, each of its own index.
            state = WAITING if inside and index is None else seen.get(key, WAITING)
            found[name] = (key, state)
        return found

    def _skips(self, key: str) -> tuple[frozenset[str], bool]:
        """What an instance that has ended skips of the tasks directly after it, and whether all after these too."""
        name, _, index = key.removesuffix("]").partition("[")
        if key in self._cutting:
            return frozenset(self._directly_after(name)), True
        ends = [self._ends[key]] if key in self._ends else []
        if self.nodes[name].mapped and not index:
            # It skips what all its instances skip that succeeded.
            instances = [key_of(name, each) for each in range(self._sizes.get(name, 0))]
            ends += [self._ends[each] for each in instances if each in self._ends]
        if not ends:
            return frozenset(), False
        skipped = [self._skipped_by(end) for end in ends]
        return frozenset.intersection(*skipped), all(end.cut == "all" for end in ends)

    def _skipped_by(self, end: End) -> frozenset[str]:
        after = self._directly_after(end.name)
        if end.follow is not None:
            spared = {*end.follow, *(name for each in end.follow for name in self._all_after(each))}
            return frozenset(after) - spared
        return frozenset(after if end.cut is not None else ())

    def _directly_after(self, name: str) -> list[str]:
        return [node.name for node in self.nodes.values() if name in node.after]

    def _all_after(self, name: str) -> set[str]:
        found: set[str] = set()
        for node in self.nodes.values():
            if any(each == name or each in found for each in node.after):
                found.add(node.name)
        return found

    # What becomes of an instance

    def _go_on(self, node: Node, seen: Mapping[str, str]) -> None:
        """A task that was expanded ends with its last instance; that of a group hears of what is outside until then."""
        ends = [seen.get(key_of(node.name, index), WAITING) for index in range(self._sizes[node.name])]
        if all(state in ENDS for state in ends):
            self.states[node.name] = next(
                each for each in (FAILED, UPSTREAM_FAILED, SUCCEEDED, SKIPPED) if each in ends
            )
        elif node.group is not None:
            before = self._upstream(node, None, seen).values()
            if any(state in ENDS and self._skips(key)[1] for key, state in before):
                self._cutting.add(node.name)

    def _decide(self, node: Node, index: int | None, seen: Mapping[str, str]) -> None:
        key = key_of(node.name, index)
        upstream = self._upstream(node, index, seen)
        skips = [self._skips(each) for each, state in upstream.values() if state in ENDS]
        is_skipped = node.kind != "teardown" and any(node.name in names for names, _ in skips)
        if any(cascade for _, cascade in skips):
            self._cutting.add(key)
        if is_skipped:
            self.states[key] = SKIPPED
            return
        before = tuple(state for _, state in upstream.values())
        if node.kind == "teardown":
            verdict = tear_down(before, [upstream[name][1] for name in node.setups])
        else:
            verdict = decide(node.rule, before)
        is_group = node.group is not None and index is None
        if verdict == READY and node.kind != "teardown" and not is_group:
            verdict = decide("all_success", self._guards(node, index, seen))
        if verdict in ENDS or (verdict == WAITING and not is_group):
            self.states[key] = verdict
        elif node.group is not None and is_group and node.group.over is not None:
            if seen[node.group.over] in ENDS:
                self._let_go(node, None, seen)
        else:
            self._let_go(node, index, seen)

    def _guards(self, node: Node, index: int | None, seen: Mapping[str, str]) -> tuple[str, ...]:
        """How the setups stand in whose scope a task is without being directly after them."""
        found = []
        for setup in self.nodes.values():
            if setup.kind != "setup" or setup.name in node.after or node.name not in self._all_after(setup.name):
                continue
            closing = [each.name for each in self.nodes.values() if setup.name in each.setups]
            if not closing or not self._all_after(node.name).isdisjoint(closing):
                inside = index is not None and setup.group == node.group and setup.name in self._sizes
                found.append(seen.get(key_of(setup.name, index) if inside else setup.name, WAITING))
        return tuple(found)

    def _let_go(self, node: Node, index: int | None, seen: Mapping[str, str]) -> None:
        key = key_of(node.name, index)
        if node.past is not None and index is None and self._before is not None and key not in self._freed:
            self._held.add(key)
        elif node.group is not None and index is None:
            self._expand(node, node.group.items, node.group.over, seen)
        elif node.kind == "latest_only":
            self.states[key] = SUCCEEDED
            self._ends[key] = End(node.name, index, SUCCEEDED, cut="direct" if self._outdated else None)
        elif node.mapped:
            self._expand(node, node.items, node.over, seen)
            self.states.update({key_of(node.name, each): READY for each in range(self._sizes.get(node.name, 0))})
        else:
            self.states[key] = READY

    def _expand(self, node: Node, items: int | None, over: str | None, seen: Mapping[str, str]) -> None:
        count = items if over is None else self._length_of(over, seen)
        if count is None:
            self.states[node.name] = FAILED
        elif count == 0:
            self.states[node.name] = SKIPPED
        else:
            self.states[node.name] = EXPANDED
            self._sizes[node.name] = count

    def _length_of(self, name: str, seen: Mapping[str, str]) -> int | None:
        """How many items a task gives: its list's, or one for each of its instances that succeeded. None: no list."""
        source = self.nodes[name]
        if source.mapped or source.group is not None:
            # What no worker runs returns nothing.
            count = 0 if source.kind == "latest_only" else self._sizes.get(name, 0)
            return sum(seen.get(key_of(name, each)) == SUCCEEDED for each in range(count))
        # What is decided without a worker is so before anything is expanded.
        state = self.states[name] if source.kind == "latest_only" else seen[name]
        return self._ends[name].length if state == SUCCEEDED else 0

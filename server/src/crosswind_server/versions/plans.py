"""The way of a message through the versions: which steps touch it, and where in it.

Here belongs the walk. What a step does to one message belongs to `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from crosswind_server.versions.fallbacks import fallbacks
from crosswind_server.versions.history import History
from crosswind_server.versions.steps import LEAVE_OUT, Operation, Pair, operations
from crosswind_server.versions.union import Union

Walk = Callable[[Any], None]
"""Carries a union message across, in place."""

_Operations = Mapping[str, Sequence[Operation]]


class Plans:
    """The ways of all messages of a history.

    Args:
        history: the versions.

    Raises:
        HistoryBroken: a change names what is not in the snapshots.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._steps = [self._compile(number) for number in range(1, len(history.releases))]

    @cached_property
    def union(self) -> Union:
        """The union types; made when a message is first carried."""
        return Union(self.history)

    def upgrade(self, message: str, *, since: int, until: int | None = None) -> Walk | None:
        """From one release to a later one; None where nothing happens to a message on the way.

        Args:
            message: its full name in the release `since`.
            since: the position of the release that it is written in.
            until: of the one that it is for; None, the newest.
        """
        return self._walk(message, since, until, upward=True)

    def downgrade(self, message: str, *, since: int, until: int | None = None) -> Walk | None:
        """Back, from the release `until` to the older one `since`; see `upgrade`."""
        return self._walk(message, since, until, upward=False)

    def last_name(self, message: str, position: int) -> str:
        """The last name of a message of a release, which is that of its union type."""
        return self.history.lineages[position][message]

    def _walk(self, message: str, since: int, until: int | None, *, upward: bool) -> Walk | None:
        name = self.last_name(message, since)
        last = len(self.history.releases) - 1 if until is None else until
        found = (self._steps[number].visitor(name, self.union, upward=upward) for number in range(since, last))
        visitors = [visitor for visitor in found if visitor is not None]
        if not visitors:
            return None
        if not upward:
            visitors.reverse()

        def walk(carried: Any) -> None:
            for visitor in visitors:
                visitor(carried)

        return walk

    def _compile(self, number: int) -> _Step:
        history = self.history
        old, new = history.releases[number - 1], history.releases[number]
        before, after = history.lineages[number - 1], history.lineages[number]
        now = {last: name for name, last in after.items()}
        pair = Pair(old, new, {name: now[last] for name, last in before.items() if last in now})
        up: dict[str, list[Operation]] = {}
        down: dict[str, list[Operation]] = {}
        for change in new.changes:
            found = operations(change, pair)
            if found is None:
                continue
            message, upgrade, downgrade = found
            last = after.get(message) or before[message]
            if upgrade is not None:
                up.setdefault(last, []).append(upgrade)
            if downgrade is not None:
                down.setdefault(last, []).insert(0, downgrade)
        for message, operation in fallbacks(pair):
            down.setdefault(after.get(message, message), []).append(operation)
        return _Step(up, down)


class _Step:
    """What happens between two neighbouring versions, by the last names of the messages."""

    def __init__(self, up: _Operations, down: _Operations) -> None:
        self._operations: Final = {True: up, False: down}
        self._touching: dict[bool, set[str]] = {}
        self._visitors: dict[tuple[str, bool], Operation] = {}

    def visitor(self, name: str, union: Union, *, upward: bool) -> Operation | None:
        """What to call with a message; None where it holds nothing that is touched."""
        if not self._operations[upward]:
            return None
        if upward not in self._touching:
            self._touching[upward] = union.holders_of(self._operations[upward])
        if name not in self._touching[upward]:
            return None
        return self._make(name, union, upward=upward)

    def _make(self, name: str, union: Union, *, upward: bool) -> Operation:
        if (name, upward) in self._visitors:
            return self._visitors[name, upward]
        children: list[Operation] = []
        own = tuple(self._operations[upward].get(name, ()))

        def visit(message: Any) -> object:
            # Upwards what is held first, downwards last: exactly the other way round.
            left_out: object = None
            if upward:
                for child in children:
                    child(message)
            for operation in own:
                if operation(message) is LEAVE_OUT:
                    left_out = LEAVE_OUT
            if not upward:
                for child in children:
                    child(message)
            return left_out

        self._visitors[name, upward] = visit
        for field, held in union.fields_of(name):
            if held in self._touching[upward]:
                visitor = self._make(held, union, upward=upward)
                children.append(_into(field, visitor, is_map=union.is_map(name, field.number)))
        return own[0] if len(own) == 1 and not children else visit


def _into(field: FieldDescriptorProto, visitor: Operation, *, is_map: bool) -> Operation:
    """Visits what a field holds, and takes out what has no place any more."""
    attribute = field.name

    def visit_one(message: Any) -> None:
        if message.HasField(attribute) and visitor(getattr(message, attribute)) is LEAVE_OUT:
            message.ClearField(attribute)

    def visit_many(message: Any) -> None:
        held = getattr(message, attribute)
        for place in [place for place, each in enumerate(held) if visitor(each) is LEAVE_OUT][::-1]:
            del held[place]

    def visit_map(message: Any) -> None:
        held = getattr(message, attribute)
        for key in [key for key in held if visitor(held[key]) is LEAVE_OUT]:
            del held[key]

    if is_map:
        return visit_map
    return visit_many if field.label == FieldDescriptorProto.LABEL_REPEATED else visit_one

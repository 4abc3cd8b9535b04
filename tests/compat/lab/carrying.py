"""Messages carried across some of the laboratory's versions, and what is expected of one that comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.message import Message

from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.changes import Change, DefaultChanged, FieldConverted, FieldRemoved, Lossy
from crosswind_server.versions.history import History
from crosswind_server.versions.plans import Plans, Walk
from crosswind_server.versions.steps import default_of
from tests.compat.lab.history import VERSIONS
from tests.compat.lab.messages import message_type


class Carrier:
    """Carries messages of a history by their bytes.

    Args:
        history: the laboratory's.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._plans = Plans(history)

    def name_in(self, full_name: str, since: int, until: int) -> str:
        """What a message of one version is called in another, a later one."""
        last = self._history.lineages[since][full_name]
        return next(name for name, now in self._history.lineages[until].items() if now == last)

    def exists_in(self, full_name: str, since: int, until: int) -> bool:
        """Whether a later version still has a message."""
        return self._history.lineages[since][full_name] in self._history.lineages[until].values()

    def up(self, message: Message, since: int, until: int) -> Message:
        """A message of one version, in a later one."""
        name = message.DESCRIPTOR.full_name
        data = self.upgrade(message.SerializeToString(), name, since, until)
        return message_type(VERSIONS[until], self.name_in(name, since, until)).FromString(data)

    def down(self, message: Message, full_name: str, since: int, until: int) -> Message:
        """A message of a later version `until`, in an older one, where it is called `full_name`."""
        way = self._plans.downgrade(full_name, since=since, until=until)
        data = self._carry(message.SerializeToString(), full_name, since, way)
        return message_type(VERSIONS[since], full_name).FromString(data)

    def back(self, message: Message, since: int, until: int) -> Message:
        """A message that went to a later version and came back."""
        return self.down(self.up(message, since, until), message.DESCRIPTOR.full_name, since, until)

    def upgrade(self, data: bytes, full_name: str, since: int, until: int | None = None) -> bytes:
        """The bytes of a message of one version, in a later one or the newest. Raises DecodeError."""
        return self._carry(data, full_name, since, self._plans.upgrade(full_name, since=since, until=until))

    def expected_back(self, message: Message, since: int) -> Message:
        """What a message is to be after it was in the next version and came back: itself, or what is stated."""
        expected = meaning(message)
        names = {now: name for name, now in self._history.lineages[since].items()}
        lineage = self._history.lineages[since + 1]
        for change in self._history.releases[since + 1].changes:
            concerned = getattr(change, "message", "")
            former = names.get(lineage.get(concerned, concerned), concerned)
            for each in walk(expected):
                if each.DESCRIPTOR.full_name == former:
                    _state(change, each)
        return expected

    def _carry(self, data: bytes, full_name: str, since: int, way: Walk | None) -> bytes:
        carried = self._plans.union.type_of(self._plans.last_name(full_name, since)).FromString(data)
        if way is not None:
            way(carried)
        written: bytes = carried.SerializeToString()
        return written


def meaning(message: Message) -> Message:
    """A message as it is understood: without what its version does not know, defaults where nothing is said."""
    meant = type(message)()
    meant.CopyFrom(message)
    meant.DiscardUnknownFields()
    for each in walk(meant):
        for name, default in _defaults(type(each)).items():  # type: ignore[arg-type]  # types of messages can be hashed
            if not each.HasField(name):
                setattr(each, name, default)
    return meant


@cache
def _defaults(of: type[Message]) -> Mapping[str, Any]:
    """The defaults of a message's fields, as their options say."""
    proto = DescriptorProto()
    of.DESCRIPTOR.CopyToProto(proto)
    return {each.name: default_of(each) for each in proto.field if annotation(each, "default_value") is not None}


def walk(message: Any) -> Iterator[Any]:
    """A message and all that it holds."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    yield from walk(each)
        elif field.is_repeated:
            for each in value:
                yield from walk(each)
        else:
            yield from walk(value)


def _state(change: Change, message: Any) -> None:
    """Make a message what a change states that it becomes."""
    lossy: Lossy | None = getattr(change, "lossy", None)
    if isinstance(change, FieldRemoved):
        _set(message, change.name, change.answer)
    elif isinstance(change, DefaultChanged):
        pass  # what is not said is said when it comes back, and means the same: see `meaning`
    elif isinstance(change, FieldConverted):
        lossy = change.by.lossy
    if lossy is not None:
        reads: Any = getattr(change, "reads", None) or getattr(change, "old", "")
        names: Sequence[str] = (reads,) if isinstance(reads, str) else reads
        values = tuple(_get(message, name) for name in names)
        if all(value is None for value in values):
            return
        for name, value in zip(names, lossy.result(values), strict=True):
            _set(message, name, value)


def _get(message: Any, name: str) -> Any:
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        return tuple(getattr(message, name))
    return getattr(message, name) if not field.has_presence or message.HasField(name) else None


def _set(message: Any, name: str, value: Any) -> None:
    message.ClearField(name)
    if value is None:
        return
    if isinstance(value, tuple):
        getattr(message, name).extend(value)
    else:
        setattr(message, name, value)

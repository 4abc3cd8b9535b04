"""Values and where a task's arguments come from: literals, outputs, parameters, and what it is mapped over.

Here belong the immutable facts of a manifest about arguments. Values stay closed: they are bytes in an encoding that
the server does not know. Finding the values themselves belongs to the services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

RETURN_VALUE: Final = "return_value"
"""The key of a task's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """A value as it is stored: one encoding, and either bytes or a list of items.

    Args:
        encoding: such as `json/utf-8`.
        metadata: facts that a decoder needs.
        data: the value; None where it is a list.
        items: the items of a list; None where it is not one.
    """

    encoding: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    items: tuple[bytes, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes of the value, without its encoding's name and metadata."""
        return len(self.data) if self.data is not None else sum(map(len, self.items or ()))

    def item(self, index: int) -> StoredValue:
        """One item of a list, as a value of its own."""
        assert self.items is not None
        return StoredValue(encoding=self.encoding, metadata=self.metadata, data=self.items[index])


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What an upstream task wrote. `path` holds serialized steps that the SDK applies."""

    task_id: str
    key: str = RETURN_VALUE
    path: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class CompositePlan:
    """A structure that the SDK puts together from outputs."""

    template_json: str
    parts: tuple[OutputPlan, ...]


@dataclass(frozen=True, slots=True)
class GroupItemPlan:
    """The item that a mapped group gives an instance by one of its mapped inputs. `path` as of an output."""

    input_name: str
    path: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlan:
    """One argument. Exactly one of the sources is set."""

    name: str
    position: int | None
    literal: StoredValue | None = None
    output: OutputPlan | None = None
    param: str | None = None
    composite: CompositePlan | None = None
    group_item: GroupItemPlan | None = None

    @property
    def outputs(self) -> tuple[OutputPlan, ...]:
        """The outputs that it needs."""
        if self.output is not None:
            return (self.output,)
        return self.composite.parts if self.composite is not None else ()


class Combination(StrEnum):
    """How the mapped inputs of a task combine."""

    CROSS = "cross"
    ZIP = "zip"
    KEYWORDS = "keywords"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedInputPlan:
    """An input that gives each instance one item, of a literal list or of an output."""

    name: str
    position: int | None
    literal: StoredValue | None = None
    output: OutputPlan | None = None


class UnequalLengths(ValueError):
    """Inputs that are zipped have different lengths."""


@dataclass(frozen=True, slots=True)
class MappingPlan:
    """How a task is mapped."""

    combination: Combination
    inputs: tuple[MappedInputPlan, ...]

    def count(self, lengths: Sequence[int]) -> int:
        """How many instances there are, given the lengths of the inputs.

        Raises:
            UnequalLengths: the inputs are zipped and differ.
        """
        if self.combination is Combination.ZIP:
            if len(set(lengths)) > 1:
                raise UnequalLengths(", ".join(map(str, lengths)))
            return lengths[0]
        total = 1
        for length in lengths:
            total *= length
        return total

    def items_of(self, map_index: int, lengths: Sequence[int]) -> tuple[int, ...]:
        """Which item each input gives the instance; in a cross product the last input varies fastest."""
        if self.combination is Combination.ZIP:
            return (map_index,) * len(lengths)
        rest = map_index
        chosen = []
        for length in reversed(lengths):
            rest, item = divmod(rest, length)
            chosen.append(item)
        return tuple(reversed(chosen))

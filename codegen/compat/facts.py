"""The vocabulary of differences between two neighbouring API versions.

Here belongs what a difference is. Finding them belongs to `differences` and `carried`; judging them to `coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import Final


@unique
class Kind(Enum):
    """What differs: of what, and how a sentence says it. The subject keeps two kinds apart that are said alike."""

    MESSAGE_ADDED = ("message", "is a new message")
    MESSAGE_REMOVED = ("message", "was removed")
    MESSAGE_RENAMED = ("message", "has another full name")
    FIELD_ADDED = ("field", "is a new field")
    FIELD_REMOVED = ("field", "was removed")
    FIELD_NOT_RESERVED = ("field", "was removed and not reserved")
    FIELD_RENAMED = ("field", "has another name")
    FIELD_RETYPED = ("field", "has another type")
    FIELD_RELABELLED = ("field", "has another presence or is repeated")
    FIELD_INTO_ONEOF = ("field", "was moved into a oneof")
    FIELD_OUT_OF_ONEOF = ("field", "was moved out of a oneof")
    FIELD_REQUIRED = ("field", "is required")
    FIELD_NOT_REQUIRED = ("field", "is required no more")
    FIELD_DEPRECATED = ("field", "is deprecated")
    DEFAULT_CHANGED = ("field", "has another default_value")
    RANGE_NARROWED = ("field", "has a narrower range")
    RANGE_WIDENED = ("field", "has a wider range")
    SENSITIVE_CHANGED = ("field", "changed the option sensitive")
    ORIGIN_CHANGED = ("option", "says another origin than before")
    ONEOF_ADDED = ("oneof", "is a new oneof")
    ONEOF_REMOVED = ("oneof", "is no oneof any more")
    ENUM_ADDED = ("enum", "is a new enum")
    ENUM_REMOVED = ("enum", "was removed")
    VALUE_ADDED = ("value", "is a new value")
    VALUE_REMOVED = ("value", "was removed")
    VALUE_NOT_RESERVED = ("value", "was removed and not reserved")
    VALUE_RENAMED = ("value", "has another name")
    STATUS_CODE_CHANGED = ("value", "has another status_code")
    SERVICE_ADDED = ("service", "is a new service")
    SERVICE_REMOVED = ("service", "was removed")
    METHOD_ADDED = ("method", "is a new RPC")
    METHOD_REMOVED = ("method", "was removed")
    METHOD_MOVED = ("method", "has another full name")
    REQUEST_CHANGED = ("method", "takes another request")
    RESPONSE_CHANGED = ("method", "answers another response")
    STREAMING_CHANGED = ("method", "streams otherwise")
    IDEMPOTENT_GAINED = ("method", "may be repeated")
    IDEMPOTENT_LOST = ("method", "may be repeated no more")
    REASON_ADDED = ("method", "refuses for another reason")
    REASON_REMOVED = ("method", "refuses for a reason no more")

    def __str__(self) -> str:
        return self.value[1]


BEARABLE: Final = frozenset(
    {
        Kind.MESSAGE_ADDED,
        Kind.ENUM_ADDED,
        Kind.SERVICE_ADDED,
        Kind.SERVICE_REMOVED,  # its RPCs are differences of their own
        Kind.ONEOF_ADDED,  # its fields are
        Kind.ONEOF_REMOVED,
        Kind.FIELD_NOT_REQUIRED,
        Kind.RANGE_WIDENED,
        Kind.IDEMPOTENT_GAINED,
        Kind.REASON_REMOVED,
    }
)
"""What nobody needs to be told of beyond the option that shows it: old clients are right as they are."""

GROWTH: Final = BEARABLE - {Kind.SERVICE_REMOVED, Kind.ONEOF_REMOVED} | {
    Kind.FIELD_ADDED,
    Kind.FIELD_DEPRECATED,
    Kind.VALUE_ADDED,
    Kind.METHOD_ADDED,
}
"""What may happen to messages that only ever grow; see `growing`."""

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two neighbouring versions differ in.

    Attributes:
        kind: what differs.
        element: its full name in the newer version; in the older one where it was removed. A method is its path, a
            reason of one the path, a space and the reason.
        file: the proto that has it, or had it.
        was: what it was, as text; empty where there is nothing to say.
        now: what it is.
        former: its full name in the older version; empty where it was added.
        number: of a field or a value of an enum.
    """

    kind: Kind
    element: str
    file: str
    was: str = ""
    now: str = ""
    former: str = ""
    number: int | None = None

    @property
    def key(self) -> Key:
        """What a change names to explain it."""
        return self.kind, self.element

    @property
    def scope(self) -> str:
        """The message, enum or service that it is part of; itself where it is one."""
        return scope_of(self.element)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the build refuses.

    Attributes:
        version: the API version that has it.
        file: the proto.
        element: the field, value, method or message.
        sentence: what is wrong and what to write.
    """

    version: str
    file: str
    element: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}: {self.sentence}" if self.file else self.sentence


def scope_of(element: str) -> str:
    """The full name that a full name is in; for a path of an RPC, its service."""
    if element.startswith("/"):
        return element.lstrip("/").split("/", 1)[0]
    return element.rpartition(".")[0]

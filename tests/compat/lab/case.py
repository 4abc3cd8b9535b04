"""Cases: what clients of old versions say and hear. They are data, in `cases/`.

A case names its kind of change and its direction, and is run for every version of which it is true, with each kind of
client. Its steps are calls of an `old` client, and of a `new` one, which speaks the newest version. What is expected
of an answer names what matters: fields that are not named may be anything, those that are None are absent, and lists
have the length that is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.compat.lab.clients import Answer, Client, metadata_of
from tests.compat.lab.history import NEWEST, VERSIONS

Fields = Mapping[str, Any]
"""Protobuf's JSON, with the fields' own names."""

NOTHING: Final[Fields] = {}
_scopes: Final = itertools.count()


@dataclass(frozen=True)
class Step:
    """A call and what is expected.

    Attributes:
        old: whether the old client calls, and not the newest.
        method: `Service/Method` of the package.
        request: protobuf's JSON.
        answer: what the response holds; None where a refusal is expected.
        refused: what the refusal holds.
    """

    old: bool
    method: str
    request: Fields
    answer: Fields | None
    refused: Fields | None


@dataclass(frozen=True)
class Case:
    """See the module's first page.

    Attributes:
        name: kind/direction/what.
        versions: of the old client.
    """

    name: str
    versions: Sequence[str]
    steps: Sequence[Step]


def case(name: str, *steps: Step, clients: str = f"{VERSIONS[0]} to {VERSIONS[-2]}") -> Case:
    """A case.

    Args:
        name: kind/direction/what.
        steps: in order.
        clients: the versions of the old client: one, or `first to last`; all but the newest by default.
    """
    first, _, last = clients.partition(" to ")
    return Case(name, VERSIONS[VERSIONS.index(first) : VERSIONS.index(last or first) + 1], steps)


def old(method: str, request: Fields = NOTHING, answer: Fields | None = None, *, refused: Fields | None = None) -> Step:
    """A call of the old client, and what it hears."""
    return Step(True, method, request, (answer or NOTHING) if refused is None else None, refused)


def new(method: str, request: Fields = NOTHING, answer: Fields | None = None, *, refused: Fields | None = None) -> Step:
    """A call of the newest client, and what it hears."""
    return Step(False, method, request, (answer or NOTHING) if refused is None else None, refused)


class AnyClients(Protocol):
    """Clients of all versions."""

    metadata: Mapping[str, str]

    def of(self, version: str) -> Client:
        """The one of a version."""


def differences(case: Case, version: str, clients: AnyClients) -> list[str]:
    """Run a case; what is not as expected, a line each. The first step that is not so is the last one."""
    scope = f"{case.name}-{version}-{next(_scopes)}"
    for step in case.steps:
        speaks = version if step.old else NEWEST
        metadata = {**clients.metadata, **metadata_of(speaks, scope)}
        heard = clients.of(speaks).call(f"lab.v1.{step.method}", step.request, metadata)
        found = _compare(step, heard)
        if found:
            return [f"{case.name}, client {speaks}, {step.method}: {line}" for line in found]
    return []


def _compare(step: Step, heard: Answer) -> list[str]:
    if step.answer is None:
        assert step.refused is not None
        return list(_unlike(step.refused, vars(heard), "refusal"))
    if heard.code != "OK":
        return [f"refused: {heard.code}/{heard.reason} {heard.message}"]
    return list(_unlike(step.answer, heard.response, "answer"))


def _unlike(expected: Any, actual: Any, place: str) -> list[str]:
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [f"{place} is {actual!r}, not {expected!r}"]
        return [
            line
            for key, value in expected.items()
            for line in (
                ([f"{place}.{key} is {actual[key]!r}, and is to be absent"] if key in actual else [])
                if value is None
                else _unlike(value, actual.get(key), f"{place}.{key}")
            )
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = zip(expected, actual, strict=True)
        return [line for number, pair in enumerate(pairs) for line in _unlike(*pair, f"{place}[{number}]")]
    return [] if expected == actual and type(expected) is type(actual) else [f"{place} is {actual!r}, not {expected!r}"]

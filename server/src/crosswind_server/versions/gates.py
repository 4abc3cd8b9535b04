"""The gates: how calls of older API versions reach handlers that know the newest only. [VER-1]

Here belong the choice of a call's way and the crossing of whole messages, as bytes. What happens to a message on its
way belongs to `plans`; nothing outside of this package names an API version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.version import ApiVersion, ServedVersions
from crosswind_server.rpc.calls import Crossing
from crosswind_server.rpc.errors import Problem
from crosswind_server.versions.accessors import accessor
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.changes import Fields, MethodMoved, MethodRetired, ReasonChanged, ValidationChanged
from crosswind_server.versions.fallbacks import fallback_table
from crosswind_server.versions.field_names import FIELD, former_path
from crosswind_server.versions.history import History, HistoryBroken
from crosswind_server.versions.plans import Plans, Walk

NEGOTIATE: Final = "/crosswind.execution.v1.WorkerService/Negotiate"
"""Never gated: it is what tells a client which versions there are."""

Carry = Callable[[bytes], bytes]
"""Bytes of one version to those of another."""


class Gates:
    """Chooses the way of each call by the version that it names. It implements `crosswind_server.rpc.calls.Versions`.

    Args:
        history: the versions.

    Raises:
        HistoryBroken: what is written of the versions contradicts the snapshots.
    """

    def __init__(self, history: History) -> None:
        self.served: Final = ServedVersions(history.versions)
        self._history = history
        self._newest = len(history.releases) - 1
        self._crossings: dict[tuple[str, str | None], Crossing] = {}
        self._carries: dict[tuple[str, int], Carry | None] = {}
        if self._newest:
            _ = self._plans  # what is wrong is found now, and not by a client
            self._check_methods()

    @cached_property
    def _plans(self) -> Plans:
        return Plans(self._history)

    @property
    def former_methods(self) -> Iterable[str]:
        """See `crosswind_server.rpc.calls.Versions`."""
        if not self._newest:
            return ()
        methods = {path for release in self._history.releases for path in release.methods}
        return sorted(methods - set(self._history.releases[-1].methods))

    def choose(self, method: str, named: str | None) -> Crossing:
        """See `crosswind_server.rpc.calls.Versions`."""
        if method == NEGOTIATE:
            named = None  # whatever is named there, none of it is kept
        crossing = self._crossings.get((method, named))
        if crossing is None:
            crossing = self._cross(method, named)
            self._crossings[method, named] = crossing
        return crossing

    def upgrade(self, message: str, version: str, data: bytes) -> bytes:
        """A message that is not a call's, such as a stored manifest, as the newest version has it.

        Args:
            message: its full name in the newest version.
            version: the API version that it was written in.
            data: its bytes.

        Raises:
            Refused: there is no such version.
            google.protobuf.message.DecodeError: it is no such message.
        """
        position = self._history.position(self.served.check(version))
        if position == self._newest:
            return data
        if (message, position) not in self._carries:
            walk = self._plans.upgrade(self._former_name(message, position), since=position)
            self._carries[message, position] = None if walk is None else self._carry(message, walk)
        carry = self._carries[message, position]
        return data if carry is None else carry(data)

    def _former_name(self, message: str, position: int) -> str:
        """The name that a message of the newest version had in a release."""
        names = self._history.lineages[position]
        return next((former for former, last in names.items() if last == message), message)

    def _check_methods(self) -> None:
        """Every RPC of every version leads to one of the newest."""
        releases = self._history.releases
        for position, release in enumerate(releases):
            for path in release.methods:
                events = self._history.find_method(position, path) or ()
                last = events[-1] if events else None
                target = path if last is None else last.new if isinstance(last, MethodMoved) else last.through
                if target not in releases[-1].methods:
                    raise HistoryBroken(
                        f"The RPC {path.lstrip('/')} of API version {release.version} leads to {target.lstrip('/')},"
                        f" which {releases[-1].version} has not; list it as MethodMoved or MethodRetired"
                    )

    def _cross(self, method: str, named: str | None) -> Crossing:
        if method == NEGOTIATE:
            return Crossing(method, str(self.served.newest))
        version = self.served.check(named)
        position = self._history.position(version)
        if position == self._newest:
            if self._newest and method not in self._history.releases[-1].methods:
                raise self._no_such_method(method, version)
            return Crossing(method, str(version))
        events = self._history.find_method(position, method)
        if events is None:
            raise self._no_such_method(method, version)
        old = self._history.releases[position].methods[method]
        target = method
        names: dict[int, frozenset[str]] = {}  # what the method is called before and after the changes of a release
        stations = []  # where the messages change hands: the release, and what answers from there on
        for number, release in enumerate(self._history.releases[position + 1 :], start=position + 1):
            before = target
            for event in events:
                if event in release.changes:
                    target = event.new if isinstance(event, MethodMoved) else event.through
                    if isinstance(event, MethodRetired):
                        stations.append((number, event))
            names[number] = frozenset((before, target))
        crossing = Crossing(
            target,
            str(version),
            explain=self._explain(names, target, after=stations[-1][0] if stations else position),
            leniencies=self._leniencies(names),
        )
        request, response = old.input_type.lstrip("."), old.output_type.lstrip(".")
        if stations:
            return replace(
                crossing,
                upgrade=self._through_request(position, request, stations),
                downgrade=self._through_response(position, response, stations),
            )
        up = self._plans.upgrade(request, since=position)
        down = self._plans.downgrade(response, since=position)
        return replace(
            crossing,
            upgrade=None if up is None else self._carry(self._plans.last_name(request, position), up),
            downgrade=None if down is None else self._carry(self._plans.last_name(response, position), down),
        )

    def _no_such_method(self, method: str, version: ApiVersion) -> Refused:
        having = [str(release.version) for release in self._history.releases if method in release.methods]
        others = f"It is in {having[0]} to {having[-1]}." if having else "No version has it."
        return Refused(
            Reason.NOT_SUPPORTED,
            f"API version {version} has no RPC {method.lstrip('/')}. {others} Call it in a version that has it.",
            metadata={"method": method.lstrip("/"), "api_version": str(version)},
        )

    def _carry(self, name: str, walk: Walk) -> Carry:
        union = self._plans.union.type_of(name)
        parse = union.FromString

        def carry(data: bytes) -> bytes:
            message: Any = parse(data)
            walk(message)
            carried: bytes = message.SerializeToString()
            return carried

        return carry

    # --- an RPC that is gone, through another one ---------------------------------------------------------------------

    def _through_request(self, position: int, name: str, stations: Sequence[tuple[int, MethodRetired]]) -> Carry:
        parts: list[Carry] = []
        for number, event in stations:
            parts += self._part(name, position, number - 1, upward=True)
            following = self._history.releases[number].methods[event.through].input_type.lstrip(".")
            parts.append(self._convert(number - 1, name, number, following, event.request))
            name, position = following, number
        parts += self._part(name, position, self._newest, upward=True)
        return _in_turn(parts)

    def _through_response(self, position: int, name: str, stations: Sequence[tuple[int, MethodRetired]]) -> Carry:
        parts: list[Carry] = []  # in the direction of time, to be gone backwards
        for number, event in stations:
            parts += self._part(name, position, number - 1, upward=False)
            following = self._history.releases[number].methods[event.through].output_type.lstrip(".")
            parts.append(self._convert(number, following, number - 1, name, event.response))
            name, position = following, number
        parts += self._part(name, position, self._newest, upward=False)
        return _in_turn(parts[::-1])

    def _part(self, name: str, since: int, until: int, *, upward: bool) -> list[Carry]:
        way = self._plans.upgrade if upward else self._plans.downgrade
        walk = way(name, since=since, until=until)
        return [] if walk is None else [self._carry(self._plans.last_name(name, since), walk)]

    def _convert(
        self, source: int, source_name: str, target: int, target_name: str, convert: Callable[[Fields], Fields]
    ) -> Carry:
        releases, plans = self._history.releases, self._plans
        read = releases[source].message(source_name)
        write = releases[target].message(target_name)
        getters = {name: accessor(releases[source], read, name) for name in read.fields}
        setters = {name: accessor(releases[target], write, name) for name in write.fields}
        parse = plans.union.type_of(plans.last_name(source_name, source)).FromString
        make = plans.union.type_of(plans.last_name(target_name, target))

        def carry(data: bytes) -> bytes:
            message, made = parse(data), make()
            for name, value in convert({name: each.get(message) for name, each in getters.items()}).items():
                setters[name].put(made, value)
            converted: bytes = made.SerializeToString()
            return converted

        return carry

    # --- refusals and leniencies --------------------------------------------------------------------------------------

    def _explain(
        self, names: Mapping[int, frozenset[str]], target: str, *, after: int
    ) -> Callable[[Problem], Problem] | None:
        """What a refusal of the newest version is to a client of a release.

        Args:
            names: what the method is called at each release after the client's.
            target: what it is called in the newest.
            after: the release since which its request is the same message; no name of a field leads further back.
        """
        steps: list[tuple[int, dict[str, ReasonChanged | _Reason]]] = []
        for number in sorted(names, reverse=True):
            table: dict[str, ReasonChanged | _Reason] = {**self._new_reasons[number]}
            for change in self._history.releases[number].changes:
                if isinstance(change, ReasonChanged) and (change.method is None or change.method in names[number]):
                    table[change.new] = change
            steps.append((number, table))
        request = self._history.releases[-1].methods[target].input_type.lstrip(".")

        def explain(problem: Problem) -> Problem:
            for number, table in steps:
                metadata = dict(problem.metadata)
                if FIELD in metadata and number > after:
                    metadata[FIELD] = former_path(self._history, number, request, metadata[FIELD])
                change = table.get(problem.reason)
                if change is None:
                    problem = replace(problem, metadata=metadata)
                else:
                    metadata = {change.metadata.get(key, key): value for key, value in metadata.items()}
                    problem = Problem(change.code, change.old, problem.message, metadata)
            return problem

        return explain

    @cached_property
    def _new_reasons(self) -> Mapping[int, Mapping[str, _Reason]]:
        """The reasons that came with each release but the first, with what the one before it has instead."""
        name, releases = self._history.reasons, self._history.releases
        found: dict[int, dict[str, _Reason]] = {}
        for number, release in enumerate(releases[1:], start=1):
            before, now = releases[number - 1].enums.get(name), release.enums.get(name)
            found[number] = {}
            if before is None or now is None:
                continue
            prefix = reason_prefix(now.name)
            values = {value.number: value for value in now.value}
            for new, old in fallback_table(release, name, {value.number for value in before.value}).items():
                former = values[old]
                found[number][values[new].name.removeprefix(prefix)] = _Reason(
                    former.name.removeprefix(prefix), annotation(former, "status_code") or "FAILED_PRECONDITION"
                )
        return found

    def _leniencies(self, names: Mapping[int, frozenset[str]]) -> frozenset[str]:
        return frozenset(
            change.leniency
            for number, called in names.items()
            for change in self._history.releases[number].changes
            if isinstance(change, ValidationChanged) and not called.isdisjoint(change.methods)
        )


@dataclass(frozen=True, slots=True)
class _Reason:
    """A reason that an older version has instead of a newer one."""

    old: str
    code: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def reason_prefix(enum: str) -> str:
    """What the names of an enum's values begin with: `ERROR_REASON_` for `ErrorReason`."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in enum).lstrip("_") + "_"


def _in_turn(parts: Sequence[Carry]) -> Carry:
    def carry(data: bytes) -> bytes:
        for part in parts:
            data = part(data)
        return data

    return carry

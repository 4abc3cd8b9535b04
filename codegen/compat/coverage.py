"""Whether every difference between neighbouring API versions is covered by an option or a change.

Here belongs the judgement. What differs is found by `differences`, `carried` and `buf_findings`; what a change explains
is said by `explanations`; what to write instead by `advice`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from codegen.compat.advice import advise, describe
from codegen.compat.buf_findings import BufFinding, buf_findings
from codegen.compat.carried import carried
from codegen.compat.correspondence import Neighbours, files_of
from codegen.compat.differences import differences, oneof_of
from codegen.compat.explanations import UNEXPLAINABLE, Scene, explained, free_keys, shows_nothing
from codegen.compat.facts import BEARABLE, GROWTH, Difference, Finding, Key, Kind, scope_of
from codegen.compat.growing import SERVER, Growing, grows, reachable
from codegen.compat.origins import wrong_fallback, wrong_first_origins, wrong_origin, wrong_origins_of_new
from crosswind_server.versions.changes import Change, FreeChange
from crosswind_server.versions.gates import Gates, reason_prefix
from crosswind_server.versions.history import History, HistoryBroken


@dataclass(frozen=True)
class Account:
    """What a version differs in from the one before it, with what explains it.

    Attributes:
        pair: both versions.
        differences: all of them.
        explained: each difference that a change explains, with the changes.
        findings: what is not covered, in the order of the protos.
    """

    pair: Neighbours
    differences: tuple[Difference, ...]
    explained: Mapping[Key, tuple[Change, ...]]
    findings: tuple[Finding, ...]


def uncovered(history: History, growing: Growing = SERVER) -> list[Finding]:
    """All that no option and no change covers, in every version of a history; empty where all is well."""
    findings = list(wrong_first_origins(history.releases[0]))
    for each in accounts(history, growing):
        findings += each.findings
    if not findings:
        try:
            Gates(history)
        except HistoryBroken as broken:
            findings.append(Finding("", "", "", str(broken)))
    return findings


def uncovered_without(history: History, change: Change, growing: Growing = SERVER) -> list[Finding]:
    """What is found, and was not before, when a change is taken out of its version.

    A change that does nothing at a call, such as `FieldRenamed` on the same number, is missed by nothing else.
    """
    releases = tuple(
        replace(release, changes=tuple(each for each in release.changes if each is not change))
        for release in history.releases
    )
    before = set(uncovered(history, growing))
    return [each for each in uncovered(replace(history, releases=releases), growing) if each not in before]


def accounts(history: History, growing: Growing = SERVER) -> Iterator[Account]:
    """The account of each version but the first, oldest first."""
    for old, new in zip(history.releases, history.releases[1:], strict=False):
        yield _Comparison(Neighbours(old, new, history.reasons), growing).account()


@dataclass
class _Comparison:
    """One pair, while it is judged."""

    pair: Neighbours
    growing: Growing
    _found: list[Finding] = field(default_factory=list)

    def account(self) -> Account:
        try:
            _ = self.pair.messages
        except HistoryBroken as broken:
            self._find("", "", f"{broken}: correct the MessageRenamed of {self._version}")
            return Account(self.pair, (), {}, tuple(self._found))
        scene = Scene(self.pair, tuple(self._differences()))
        explanations = self._explain(scene)
        growing = {**self.growing.elements(self.pair.old), **self.growing.elements(self.pair.new)}
        for each in scene.differences:
            problem = self._judge(each, explanations, growing)
            if problem is not None:
                self._find(each.file, each.element, problem)
        for name, sentence in wrong_origins_of_new(self.pair, scene.differences):
            self._find(files_of(self.pair.new).get(scope_of(name), ""), name, sentence)
        for found in buf_findings(self.pair.old.descriptors, self.pair.new.descriptors):
            self._judge_buf(found, scene)
        return Account(self.pair, scene.differences, explanations, tuple(self._found))

    @property
    def _version(self) -> str:
        return str(self.pair.new.version)

    def _find(self, file: str, element: str, sentence: str) -> None:
        self._found.append(Finding(self._version, file, element, sentence))

    def _differences(self) -> Iterable[Difference]:
        found = {each.key: each for each in differences(self.pair)}
        for change in self.pair.new.changes:
            try:
                more, relieved = carried(self.pair, change)
            except HistoryBroken:
                continue  # said when the change is explained
            found.update({each.key: each for each in more})
            for key in relieved:
                found.pop(key, None)
        return found.values()

    # --- changes ------------------------------------------------------------------------------------------------------

    def _explain(self, scene: Scene) -> Mapping[Key, tuple[Change, ...]]:
        """Which changes explain each difference; those that explain none are found."""
        keys = {each.key for each in scene.differences}
        explanations: dict[Key, tuple[Change, ...]] = {}
        for change in self.pair.new.changes:
            try:
                hits = explained(change, scene) & keys
            except HistoryBroken as broken:
                self._find("", "", f"{describe(change)} in the CHANGES of {self._version}: {broken}. Correct it.")
                continue
            for key in hits:
                explanations[key] = (*explanations.get(key, ()), change)
            if not hits and not shows_nothing(change):
                element = getattr(change, "message", "") or getattr(change, "new", "") or ""
                self._find(
                    files_of(self.pair.new).get(element, ""),
                    element,
                    f"{describe(change)} in the CHANGES of {self._version} explains no difference between"
                    f" {self.pair.old.version} and {self._version}. Correct it or take it out.",
                )
            elif isinstance(change, FreeChange):
                for name in change.covers:
                    if not free_keys(name, scene):
                        self._find("", name, f"{describe(change)} covers {name}, which does not differ. Take it out.")
        return explanations

    # --- differences --------------------------------------------------------------------------------------------------

    def _judge(
        self, difference: Difference, explanations: Mapping[Key, tuple[Change, ...]], growing: Mapping[str, str]
    ) -> str | None:
        """What is wrong with a difference; None where it is covered."""
        why = grows(difference, growing)
        if why is not None and difference.kind not in GROWTH:
            return (
                f"{difference.element} {difference.kind}, and it only ever grows, because {why}: no change can carry it"
                " across. Take it back, and add a field beside it."
            )
        wrong = wrong_origin(difference, self.pair) or wrong_fallback(difference, self.pair)
        if wrong is not None:
            return wrong
        changes = explanations.get(difference.key, ())
        if difference.kind in UNEXPLAINABLE:
            return advise(difference, self.pair)
        if difference.kind in BEARABLE or changes or self._is_said(difference):
            return None
        return advise(difference, self.pair)

    def _is_said(self, difference: Difference) -> bool:
        """Whether options, or other differences, say all that there is to say."""
        match difference.kind:
            case Kind.VALUE_ADDED | Kind.METHOD_ADDED | Kind.FIELD_DEPRECATED:
                return True  # the option is there and right, or it would have been found
            case Kind.FIELD_ADDED:
                return self._has_since(difference) and not self._is_new_arm(difference)
            case Kind.FIELD_REQUIRED | Kind.RANGE_NARROWED:
                return not self._is_received(difference.scope)
            case Kind.MESSAGE_REMOVED | Kind.ENUM_REMOVED:
                return difference.element in self._called  # what held it is a difference of its own
            case Kind.REASON_ADDED:
                return difference.now in self._new_reasons
        return False

    def _has_since(self, difference: Difference) -> bool:
        return wrong_origin(difference, self.pair, required=True) is None

    def _is_new_arm(self, difference: Difference) -> bool:
        """Whether an old client would find nothing set in a oneof that it knows."""
        scope = difference.scope
        message = self.pair.new.messages[scope].proto
        arm = next(oneof_of(message, each) for each in message.field if each.number == difference.number)
        former = self.pair.pair.old_message(scope).proto
        known = {oneof_of(former, each) for each in former.field}
        return bool(arm) and arm in known and self._is_answered(scope)

    def _is_received(self, message: str) -> bool:
        return message in self._requests or message not in self._responses

    def _is_answered(self, message: str) -> bool:
        return message in self._responses or message not in self._requests

    @cached_property
    def _requests(self) -> set[str]:
        new = self.pair.new
        return reachable(new, (each.input_type.lstrip(".") for each in new.methods.values()))

    @cached_property
    def _responses(self) -> set[str]:
        new = self.pair.new
        return reachable(new, (each.output_type.lstrip(".") for each in new.methods.values()))

    @cached_property
    def _called(self) -> set[str]:
        """What the calls of the older version hold."""
        old = self.pair.old
        names = [each for method in old.methods.values() for each in (method.input_type, method.output_type)]
        return reachable(old, (name.lstrip(".") for name in names))

    @cached_property
    def _new_reasons(self) -> set[str]:
        """The reasons that came with the newer version: `fallback` says what old clients receive."""
        old, new = (release.enums.get(self.pair.reasons) for release in (self.pair.old, self.pair.new))
        if old is None or new is None:
            return set()
        known = {value.number for value in old.value}
        prefix = reason_prefix(new.name)
        return {value.name.removeprefix(prefix) for value in new.value if value.number not in known}

    # --- buf ----------------------------------------------------------------------------------------------------------

    def _judge_buf(self, found: BufFinding, scene: Scene) -> None:
        if found.types is not None and self.pair.messages.get(found.types[0]) == found.types[1]:
            return  # a declared MessageRenamed: names are not on the wire, and both have been compared
        if found.on_the_wire:
            if not any(each.kind in UNEXPLAINABLE and self._is_about(found, each) for each in scene.differences):
                self._find(
                    found.file,
                    found.element,
                    f"{found.text} This breaks the wire ({found.rule}), and no change carries it across: give the field"
                    " another number, or the RPC and its messages other names.",
                )
            return
        if found.rule == "FILE_NO_DELETE":
            shown = self._is_emptied(found.file, scene)
        else:
            # Whether what shows it is covered has been judged already.
            shown = any(found.is_shown_by(each) for each in scene.differences)
        if not shown:
            self._find(
                found.file,
                found.element,
                f"{found.text} No change can say this ({found.rule}): old clients' sources break. Take it back.",
            )

    def _is_about(self, found: BufFinding, difference: Difference) -> bool:
        rules = {Kind.FIELD_NOT_RESERVED: "FIELD_NO_DELETE", Kind.VALUE_NOT_RESERVED: "ENUM_VALUE_NO_DELETE"}
        kinds = {Kind.FIELD_NOT_RESERVED: Kind.FIELD_REMOVED, Kind.VALUE_NOT_RESERVED: Kind.VALUE_REMOVED}
        rule = rules.get(difference.kind)
        if rule is None or found.rule != f"{rule}_UNLESS_NUMBER_RESERVED":
            return False
        return replace(found, rule=rule).is_shown_by(replace(difference, kind=kinds[difference.kind]))

    def _is_emptied(self, file: str, scene: Scene) -> bool:
        """Whether all that a file had is a difference of its own."""
        gone = {each.former for each in scene.differences if each.kind in _GONE}
        had = [name for name, of in files_of(self.pair.old).items() if of == file]
        return bool(had) and all(name in gone for name in had)


_GONE = {Kind.MESSAGE_REMOVED, Kind.MESSAGE_RENAMED, Kind.ENUM_REMOVED, Kind.SERVICE_REMOVED}

"""Whether `since`, `method_since`, `value_since`, `fallback` and `deprecated_since` say the version that they stand in.

Here belongs what these options must say. Whether something else than an option covers a difference belongs to
`coverage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from codegen.compat.correspondence import Neighbours, files_of
from codegen.compat.facts import Difference, Finding, Kind, scope_of
from crosswind_server.domain.version import ApiVersion
from crosswind_server.versions.annotations import annotation
from crosswind_server.versions.history import Release, fallback_of

OPTION = {Kind.FIELD_ADDED: "since", Kind.VALUE_ADDED: "value_since", Kind.METHOD_ADDED: "method_since"}


def wrong_origin(difference: Difference, pair: Neighbours, *, required: bool = False) -> str | None:
    """What is wrong with the date that an addition, or a deprecation, names; None where it is right.

    Args:
        difference: what was added.
        pair: between which versions.
        required: whether a field must name its date; it need not where a change explains it.
    """
    version = str(pair.new.version)
    if difference.kind is Kind.FIELD_DEPRECATED:
        said = difference.now
        if said == version:
            return None
        return (
            f'{difference.element} says that it is deprecated since "{said}", and is so from API version {version} on.'
            f' Write deprecated_since = "{version}".'
            if said
            else f"{difference.element} was deprecated since {difference.was or 'always'}, and says so no more."
            " Keep deprecated_since."
        )
    option = OPTION.get(difference.kind)
    if option is None:
        return None
    said = annotation(_proto(difference, pair.new), option)
    if said == version or (said is None and difference.kind is Kind.FIELD_ADDED and not required):
        return None
    what = "nothing says since when" if said is None else f'says {option} = "{said}"'
    return f'{difference.element} {difference.kind} in API version {version}, and {what}. Write {option} = "{version}".'


def wrong_fallback(difference: Difference, pair: Neighbours) -> str | None:
    """What is wrong with the `fallback` of a new value; None where it leads to a value that old clients know."""
    if difference.kind is not Kind.VALUE_ADDED:
        return None
    enum = pair.new.enums[difference.scope]
    known = {number for _, number in _known_values(pair, difference.scope)}
    number: int | None = difference.number
    seen: set[int] = set()
    while number is not None and number not in known and number not in seen:
        seen.add(number)
        number = fallback_of(enum, number)
    if number in known:
        return None
    names = " or ".join(name for name, _ in _known_values(pair, difference.scope)[:3])
    said = annotation(_proto(difference, pair.new), "fallback")
    what = "has no fallback" if said is None else f'has fallback = "{said}", which leads to none that was there before'
    return (
        f"{difference.element} is a new value in API version {pair.new.version} and {what}: older clients would receive"
        f" a number that they do not know. Write a fallback such as {names}."
    )


def wrong_origins_of_new(pair: Neighbours, differences: Iterable[Difference]) -> Iterator[tuple[str, str]]:
    """Dates in messages and enums that are new themselves: they need none, and may name no other version."""
    version = str(pair.new.version)
    for each in differences:
        parts: list[tuple[str, Any]] = []
        if each.kind is Kind.MESSAGE_ADDED:
            parts = [(field.name, annotation(field, "since")) for field in pair.new.messages[each.element].proto.field]
        elif each.kind is Kind.ENUM_ADDED:
            parts = [(value.name, annotation(value, "value_since")) for value in pair.new.enums[each.element].value]
        for name, said in parts:
            if said not in (None, version):
                sentence = f'{each.element}.{name} is new in API version {version}, and says since "{said}".'
                yield f"{each.element}.{name}", f'{sentence} Write "{version}", or nothing.'


def wrong_first_origins(release: Release) -> Iterator[Finding]:
    """Dates in the first version of a history that are none, or later than it."""
    files = files_of(release)
    for element, said in _origins(release):
        try:
            wrong = ApiVersion.parse(said) > release.version
        except ValueError:
            wrong = True
        if wrong:
            sentence = f'{element} says since "{said}", and is in API version {release.version} already. Take it out.'
            yield Finding(str(release.version), files.get(scope_of(element), ""), element, sentence)


def _origins(release: Release) -> Iterator[tuple[str, str]]:
    found: list[tuple[str, Any, str]] = []
    for name, message in release.messages.items():
        for option in ("since", "deprecated_since"):
            found += [(f"{name}.{field.name}", field, option) for field in message.proto.field]
    for name, enum in release.enums.items():
        found += [(f"{name}.{value.name}", value, "value_since") for value in enum.value]
    found += [(path, method, "method_since") for path, method in release.methods.items()]
    for element, proto, option in found:
        said = annotation(proto, option)
        if said is not None:
            yield element, said


def _proto(difference: Difference, release: Release) -> Any:
    if difference.kind is Kind.METHOD_ADDED:
        return release.methods[difference.element]
    if difference.kind is Kind.VALUE_ADDED:
        return next(each for each in release.enums[difference.scope].value if each.number == difference.number)
    return next(each for each in release.messages[difference.scope].proto.field if each.number == difference.number)


def _known_values(pair: Neighbours, enum: str) -> list[tuple[str, int]]:
    old = next(found for name, found in pair.old.enums.items() if pair.enum_name(name) == enum)
    return [(value.name, value.number) for value in old.value]

"""The names of fields in the details of refusals: `metadata.field` says what a client called the field that it sent.

Here belongs the way of a path of names from one version to the one before it. Reasons and codes belong to `gates`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crosswind_server.versions import changes
from crosswind_server.versions.history import History, Message

FIELD: Final = "field"
"""The key in `ErrorInfo.metadata` whose value is a path of names below the request, such as `task.limits.timeout`."""


def former_path(history: History, number: int, request: str, path: str) -> str:
    """A path of names in a release, as the release before it has them. What is no path stays as it is.

    Args:
        history: the versions.
        number: the position of the release, not the first.
        request: the last full name of the message that the path begins in.
        path: names with points between them; an index in brackets may follow each.
    """
    release = history.releases[number]
    message = next((each for name, each in release.messages.items() if history.lineages[number][name] == request), None)
    names, found = path.split("."), list[str]()
    while names and message is not None:
        plain = [name.partition("[")[0] for name in names]
        taken, former = next(
            (
                (len(new), old)
                for new, old in _renamed(history, number, message)
                if plain[: len(new)] == new and (len(new) == 1 or plain == names)
            ),
            (1, plain[:1]),
        )
        found += [*former[:-1], former[-1] + names[taken - 1][len(plain[taken - 1]) :]]
        for name in plain[:taken]:
            field = None if message is None else message.fields.get(name)
            message = None if field is None else release.messages.get(field.type_name.lstrip("."))
        names = names[taken:]
    return ".".join([*found, *names])


def _renamed(history: History, number: int, message: Message) -> Iterator[tuple[list[str], list[str]]]:
    """Paths in a message that a release has given other names: the new one and the old one."""
    last = history.lineages[number][message.full_name]
    for change in history.releases[number].changes:
        named = getattr(change, "message", "")
        if last not in (history.lineages[number].get(named), history.lineages[number - 1].get(named)):
            continue
        match change:
            case changes.FieldRenamed() | changes.FieldConverted() | changes.FieldMoved():
                yield change.new.split("."), change.old.split(".")
            case changes.FieldSplit():
                yield from (([new], [change.old]) for new in change.new)
            case changes.FieldsMerged():
                yield [change.new], [change.old[0]]

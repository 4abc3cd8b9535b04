"""The messages that only ever grow: whoever is between two versions reads them without knowing which it is. [VER-1]

Here belongs the list. A bundle's calls go through a worker under the bundle's own version, unopened, but for these: a
worker masks what is secret in variables and connections, hands on the context and reads the outcome. Negotiate is what
tells a client which versions there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from codegen.compat.facts import Difference, scope_of
from crosswind_server.versions.history import Release


@dataclass(frozen=True)
class Growing:
    """What only ever grows.

    Args:
        messages: full names, to why; whatever they hold grows with them.
        methods: paths of RPCs, to why; their messages grow too.
        packages: all that they have, to why.
    """

    messages: Mapping[str, str]
    methods: Mapping[str, str]
    packages: Mapping[str, str]

    def elements(self, release: Release) -> Mapping[str, str]:
        """The messages, enums and methods of a release that only grow, each to why."""
        found: dict[str, str] = {}
        for package, why in self.packages.items():
            for name in (*release.messages, *release.enums):
                if name.startswith(f"{package}."):
                    self._hold(release, name, why, found)
            for path in release.methods:
                if path.startswith(f"/{package}."):
                    found[path] = why
        for path, why in self.methods.items():
            if path in release.methods:
                found[path] = why
                for name in (release.methods[path].input_type, release.methods[path].output_type):
                    self._hold(release, name.lstrip("."), why, found)
        for name, why in self.messages.items():
            self._hold(release, name, why, found)
        return found

    def _hold(self, release: Release, name: str, why: str, found: dict[str, str]) -> None:
        for held in reachable(release, [name]):
            found.setdefault(held, why)


SERVER: Final = Growing(
    messages={
        "crosswind.execution.v1.GetVariableResponse": "a worker masks its value for a bundle of any version",
        "crosswind.execution.v1.GetConnectionResponse": "a worker masks its secrets for a bundle of any version",
        "crosswind.execution.v1.TaskContext": "a worker hands it on to a bundle of any version",
        "crosswind.execution.v1.Outcome": "a worker reads it from a bundle of any version",
    },
    methods={
        "/crosswind.execution.v1.WorkerService/Negotiate": "it is asked before a version is known",
    },
    packages={
        "crosswind.bundle.v1": "a worker speaks it with bundles of every version",
    },
)
"""Those of Crosswind's own protos."""


def reachable(release: Release, names: Iterable[str]) -> set[str]:
    """Messages and enums that are held by some, at any depth, and these themselves."""
    found: set[str] = set()
    open_ends = list(names)
    while open_ends:
        name = open_ends.pop()
        if name in found or (name not in release.messages and name not in release.enums):
            continue
        found.add(name)
        if name in release.messages:
            message = release.messages[name]
            for field in message.proto.field:
                entry = message.map_entries.get(field.type_name.lstrip("."))
                open_ends.append((entry.field[1] if entry is not None else field).type_name.lstrip("."))
    return found


def grows(difference: Difference, elements: Mapping[str, str]) -> str | None:
    """Why what a difference is about only ever grows; None where it may change."""
    for name in (difference.element, difference.former):
        for candidate in (name.split(" ")[0], scope_of(name)):
            if candidate in elements:
                return elements[candidate]
    return None

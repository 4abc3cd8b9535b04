"""Rules that are not applied as strictly to clients of older API versions, by name. [VER-1]

A rule that becomes stricter asks `is_lenient("its_name")`; which versions have the leniency is written in
`crosswind_server.versions` alone. So no rule names a version.
"""

from __future__ import annotations

from contextvars import ContextVar

_leniencies: ContextVar[frozenset[str]] = ContextVar("crosswind_leniencies", default=frozenset())


def is_lenient(name: str) -> bool:
    """Whether the call that is being handled is spared a rule.

    Args:
        name: as `crosswind_server.versions.changes.ValidationChanged` has it, such as `empty_titles`.
    """
    return name in _leniencies.get()


def set_leniencies(names: frozenset[str]) -> None:
    """Hand them to the handler, in the task that handles this RPC."""
    _leniencies.set(names)

"""The API versions that this SDK speaks: named here, and nowhere else in it. [VER-1]

Importing it imports nothing, so that authors' code, the worker and the commands all can. What the server of the day
speaks is found by `runtime/negotiation.py` and `client/control_client.py`.
"""

from __future__ import annotations

API_VERSIONS: tuple[str, ...] = ("2026-12-01",)
"""Newest first. The first one is what the stubs are made of and what manifests are written in; a further one says that
all that this SDK sends can be understood in that version too, and that it understands what is answered in it."""


def newest() -> str:
    """The version in which this SDK is written."""
    return API_VERSIONS[0]


def range_text(versions: tuple[str, ...] | list[str]) -> str:
    """Versions for people: `2026-12-01`, or `2026-12-01 to 2027-05-01`, in whatever order they are given."""
    oldest, last = min(versions), max(versions)
    return oldest if oldest == last else f"{oldest} to {last}"

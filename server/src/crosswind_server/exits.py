"""How a command ends: its exit code and the one sentence on standard error.

0 done, 1 failed, 2 wrong usage, 3 refused because of settings, files, the database or the address.
"""

from __future__ import annotations

from typing import Final

from crosswind_server.domain.errors import Refused
from crosswind_server.home import HomeUnusable
from crosswind_server.listening import StartRefused
from crosswind_server.services.access.sealing import CannotOpen
from crosswind_server.settings import SettingsInvalid
from crosswind_server.store.errors import StoreError, StoreUnavailable

FAILED: Final = 1
REFUSED: Final = 3


class CommandFailed(Exception):
    """A command could not do what it was asked; the message says why and what to do."""


def exit_code_of(error: Exception) -> int | None:
    """The exit code of an expected failure; None for a defect."""
    if isinstance(error, StoreUnavailable | Refused | CommandFailed):
        return FAILED
    if isinstance(error, SettingsInvalid | HomeUnusable | StartRefused | CannotOpen | StoreError):
        return REFUSED
    return None


def sentence_of(error: Exception) -> str:
    """What people read of an expected failure."""
    return error.message if isinstance(error, Refused) else str(error)

"""A worker's state folder: its name, its last instance and token, its lock. [WORKER-1]

What is kept in it of outcomes belongs to `outcomes.py`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_INSTANCE: Final = "instance.json"
_LOCK: Final = "lock"


class StateFolderInUse(Exception):
    """Another worker process holds the folder."""


@dataclass(frozen=True, kw_only=True)
class InstanceNote:
    """What a worker leaves for the next one.

    Args:
        name: the worker's name.
        server: address of its server.
        instance_id: the process's id at the server. Empty: it never registered.
        token: its worker token. Empty: it never registered.
    """

    name: str
    server: str
    instance_id: str = ""
    token: str = ""


class StateFolder:
    """A locked folder, 0700; what it holds is 0600. Made by `open` or `find`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.previous = _read_note(path)

    @classmethod
    def open(cls, path: Path) -> StateFolder:
        """Makes the folder if need be and locks it.

        Raises:
            StateFolderInUse: another process holds it.
            OSError: it cannot be written.
        """
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateFolderInUse(
                f"The state folder {path} is in use by another worker on this machine. Stop that worker, or give this "
                f"one a --name or --state-dir of its own."
            ) from None
        return cls(path, lock)

    @classmethod
    def find(cls, base: Path, *, prefix: str, server: str) -> StateFolder:
        """Takes the folder of a worker that ran here before without a given name, or makes one with a new name.

        Args:
            base: the folder of all workers' folders.
            prefix: what such names begin with.
            server: address of the server; a worker's outcomes are of no use to another.

        Raises:
            OSError: it cannot be written.
        """
        for path in sorted(base.glob(f"{prefix}-????")) if base.is_dir() else ():
            note = _read_note(path)
            if note is not None and note.server == server:
                try:
                    return cls.open(path)
                except StateFolderInUse:
                    continue
        return cls.open(base / f"{prefix}-{secrets.token_hex(2)}")

    def note(self, note: InstanceNote) -> None:
        """Replaces what is left for the next worker.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(vars(note)).encode()
        replace_file(self.path / _INSTANCE, content)

    def close(self) -> None:
        """Gives the folder back."""
        os.close(self._lock)


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Writes a file, 0600, that is there whole or not at all.

    Args:
        path: the file.
        content: all of it.
        sync: also survive a loss of power.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, content[written:])
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(new, path)
    if sync:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read_note(path: Path) -> InstanceNote | None:
    try:
        content = json.loads((path / _INSTANCE).read_bytes())
        return InstanceNote(**{key: str(content[key]) for key in ("name", "server", "instance_id", "token")})
    except (OSError, ValueError, KeyError, TypeError):
        return None

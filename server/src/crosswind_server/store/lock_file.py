"""The file beside a SQLite database that says which server has it. PostgreSQL needs none: it is made to be shared."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from crosswind_server.store.errors import DatabaseInUse, DatabaseUrlInvalid


class LockFile:
    """Holds `<database>.lock` for this process until closed, however the process ends. The file itself stays.

    Removing it could take the lock from under a server that has just opened it.
    """

    def __init__(self, database: Path) -> None:
        """Take the lock. Raises `DatabaseInUse`, which names the holder, or `DatabaseUrlInvalid`."""
        self.path = database.with_name(database.name + ".lock")
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUrlInvalid(
                f"The lock file {self.path} cannot be written ({error.strerror}); "
                "give this user the right to write to that folder, or name another database."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = self._holder()
            os.close(self._descriptor)
            raise DatabaseInUse(
                f"The database {database} is in use by {holder}; stop that server first, or use PostgreSQL, which "
                "several servers can share."
            ) from error
        self.announce("")

    def announce(self, address: str) -> None:
        """Write down where this process can be reached, for whoever finds the lock taken."""
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def close(self) -> None:
        """Release the lock."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _holder(self) -> str:
        try:
            holder = json.loads(os.pread(self._descriptor, 4096, 0))
            at = f" at {holder['address']}" if holder["address"] else ""
            return f"the server with pid {holder['pid']}{at}"
        except (ValueError, KeyError, TypeError):
            # It has the lock, but has not written who it is yet.
            return "another server"

"""A disk so small that a test can fill it: a tmpfs in namespaces of its own, for which nobody needs to be root.

Run as a program it is a PostgreSQL whose data lies on the disk that it was started on. It says its URL, and on the line
`ensure` it does what an operator does after making room: it starts PostgreSQL where a full disk for its log ended it.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path


class SmallDisk:
    """A tmpfs over `folder`, visible only to the process that `command` starts, and through that process to the test.

    Args:
        folder: where it is mounted; made if it is not there.
        size_bytes: what it holds.
    """

    def __init__(self, folder: Path, *, size_bytes: int) -> None:
        self.folder = folder
        self.size_bytes = size_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, *program: str | Path) -> list[str | Path]:
        """The command that mounts it and becomes the program, under the same pid."""
        script = 'mount -t tmpfs -o "size=$1,mode=777" tmpfs "$2" && shift 2 && exec "$@"'
        return [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script),
            *("sh", str(self.size_bytes), self.folder, *program),
        ]

    def inside(self, pid: int, *program: str | Path) -> list[str | Path]:
        """The command that runs another program where the disk is seen. `pid` is the process that `command` became."""
        return ["nsenter", "--target", str(pid), "--user", "--mount", "--preserve-credentials", *program]

    def fill(self, pid: int, *, leave_bytes: int = 0) -> None:
        """Leave no room, or so much. `pid` is the process that `command` became."""
        with self._ballast(pid).open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(_Full):
                    while True:
                        _write(ballast.fileno(), bytes(size))
            if leave_bytes:
                ballast.truncate(max(0, ballast.tell() - leave_bytes))

    def free(self, pid: int) -> None:
        """Make room again."""
        self._ballast(pid).unlink()

    def _ballast(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root") / self.folder.relative_to("/") / "ballast"


class _Full(Exception):
    """Nothing more fits."""


def _write(descriptor: int, data: bytes) -> None:
    try:
        written = os.write(descriptor, data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _Full from error
    if written < len(data):
        raise _Full


def _serve(arguments: Sequence[str]) -> None:
    from tests.postgres import PostgresServer

    (folder,) = arguments
    os.environ["TMPDIR"] = folder
    # Small segments of the log, so that they are recycled within the disk; no second process that fills it by surprise.
    server = PostgresServer(settings={"max_wal_size": "32MB", "min_wal_size": "32MB", "autovacuum": "off"})
    server.start()
    print(f"url {server.create_database()}", flush=True)
    for line in sys.stdin:
        match line.strip():
            case "ensure":
                if _refuses_connections(server.url):
                    with contextlib.suppress(Exception):
                        server.stop(immediate=True)
                    server.start()
                print(*server.log.read_text(errors="replace").splitlines()[-200:], sep="\n")
                print("running", flush=True)
            case _:
                break
    server.stop(immediate=True)
    server.remove()


def _refuses_connections(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url.replace("+psycopg", "")).close()
    except psycopg.OperationalError as error:
        # One that recovers answers that it starts up, and needs no help.
        return "refused" in str(error)
    return False


if __name__ == "__main__":
    _serve(sys.argv[1:])

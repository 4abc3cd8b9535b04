"""A real process under test: its log is copied to a file as it comes, and tests wait for a line or for its end.

What is special about servers and workers is in `servers` and `workers`.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

BIN = Path(sys.executable).parent
PATIENCE = 60.0
"""How long a test waits for a signal, in seconds, before it fails; what is waited for usually takes milliseconds."""


class ProcessFailed(AssertionError):
    """A process ended, or did not say what was expected; the message holds the end of its log."""


class Process:
    """A process with its log.

    Args:
        name: for messages and the log file's name.
        command: program and arguments.
        folder: its working directory; the log lies there too.
        environment: added to a cleaned environment, in which no `CROSSWIND_` setting of the machine is left.
        pass_fds: descriptors that it inherits.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self.folder = folder
        self.command = [str(part) for part in command]
        self.environment = environment_of(environment or {}, folder)
        self.pass_fds = pass_fds
        self.log_file = folder / f"{name}.log"
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    @property
    def log(self) -> str:
        """All that it wrote, both streams."""
        with self._changed:
            return "".join(self._lines)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it, without waiting for anything."""
        assert not self.alive, f"{self.name} is running"
        with self._changed:
            self._ended = False
        # setpriv ends it even where the tests themselves are killed; it is replaced by the program, so the pid stays.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [*guard, *self.command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self.pass_fds,
        )
        self._reader = threading.Thread(target=self._copy, args=(self._process,), name=f"{self.name}-log", daemon=True)
        self._reader.start()
        return self

    def wait_for(self, pattern: str, *, seconds: float = PATIENCE, since: int = 0) -> re.Match[str]:
        """Wait until its log has a line that matches; returns the match.

        Args:
            since: number of lines to leave out, from `mark`.
        """
        compiled = re.compile(pattern)
        deadline = time.monotonic() + seconds
        seen = since
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := compiled.search(line):
                        return match
                seen = len(self._lines)
                if self._ended:
                    raise ProcessFailed(f"{self.name} ended without a line that matches {pattern!r}.\n{self.tail()}")
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise ProcessFailed(f"{self.name} wrote no line that matches {pattern!r}.\n{self.tail()}")

    def mark(self) -> int:
        """The number of lines until now, for `wait_for(since=...)`."""
        with self._changed:
            return len(self._lines)

    def say(self, line: str) -> None:
        """Write a line to its standard input, which is open as long as it is not closed."""
        stdin = self._running().stdin
        assert stdin is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()

    def kill9(self) -> None:
        """End it with SIGKILL, and only it: what becomes of its children is what tests look at."""
        self.send(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send_signal(number)

    def wait(self, *, seconds: float = PATIENCE) -> int:
        """Wait until it has ended and its log is complete; returns the exit code, negative for a signal."""
        process = self._running()
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} did not end within {seconds:g} s.\n{self.tail()}") from None
        if process.stdin is not None:
            process.stdin.close()
        assert self._reader is not None
        # A child that outlives it for a moment may still hold the pipe.
        self._reader.join(seconds)
        return code

    def tail(self, lines: int = 40) -> str:
        """The end of its log, for messages."""
        with self._changed:
            text = "".join(self._lines[-lines:])
        return f"--- {self.name} (pid {self._process.pid if self._process else '-'}) ---\n{text or '(no output)'}"

    def close(self) -> None:
        """End it, however it may be."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # The whole session, and also if it is stopped: after the test nothing of it may go on.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._reader is not None:
            self._reader.join(5)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout, self.log_file.open("a") as file:
            for raw in process.stdout:
                line = raw.decode(errors="replace")
                file.write(line)
                file.flush()
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def environment_of(extra: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of a process: that of the tests without settings of Crosswind, and `extra`.

    What programs keep for the user stays within `folder`.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CROSSWIND_", "XDG_")) and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    user = {"XDG_STATE_HOME": str(folder / ".user" / "state"), "XDG_CONFIG_HOME": str(folder / ".user" / "config")}
    return {**kept, **user, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200", **extra}


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    seconds: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with both streams apart."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment_of(environment or {}, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def wait_until_gone(pid: int, *, seconds: float = PATIENCE) -> None:
    """Wait until a process, not necessarily a child, has ended; the kernel says so through its pidfd."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if not poller.poll(seconds * 1000):
            raise ProcessFailed(f"The process {pid} still runs after {seconds:g} s.")
    finally:
        os.close(descriptor)

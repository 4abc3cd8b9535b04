"""The server as a real process."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.e2e.support.control import Control
from tests.e2e.support.processes import BIN, Process


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The durations that a test's server keeps and tells its workers, in seconds; short, so that tests are."""

    heartbeat_interval: float = 0.5
    lease_duration: float = 2.5
    start_deadline: float = 2.0
    poll_wait: float = 2.0
    backoff_initial: float = 0.05
    backoff_max: float = 0.3
    log_flush_interval: float = 0.1
    move_away_grace: float = 1.0
    keepalive_interval: float = 20.0

    def environment(self) -> dict[str, str]:
        """The settings of the server."""
        return {f"CROSSWIND_{name.upper()}": str(value) for name, value in asdict(self).items()}


class ServerProcess(Process):
    """`crosswind-server start`. Started again it has the same address, home and database.

    Args:
        database_url: its database.
        folder: its working directory; its home is `.crosswind` in there.
        pace: its durations.
        address: where it listens; of a wildcard, tests dial loopback.
        wrap: a command to run it with, such as that of a `SmallDisk`.
        program: another `crosswind-server` than the one of the tests.
    """

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        pace: Pace | None = None,
        name: str = "server",
        address: str = "127.0.0.1:0",
        environment: Mapping[str, str] | None = None,
        wrap: list[str | Path] | None = None,
        program: Path = BIN / "crosswind-server",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database_url = database_url
        self.home = folder / ".crosswind"
        self.listening = address
        self.address = ""
        settings = {**(pace or Pace()).environment(), **(environment or {})}
        super().__init__(name, [], folder=folder, environment=settings)
        self._wrap = wrap or []
        self._program = program

    def launch(self) -> Self:
        """Start it without waiting; `command` names its address."""
        start = [self._program, "start", "--db", self.database_url, "--address", self.listening]
        self.command = [str(part) for part in [*self._wrap, *start]]
        super().start()
        return self

    def start(self) -> Self:
        """Start it and return when it takes calls."""
        since = self.mark()
        self.launch()
        host, port = self.wait_for(r"listening on ([\d.]+):(\d+)", since=since).groups()
        self.listening = f"{host}:{port}"
        self.address = f"127.0.0.1:{port}"
        return self

    @property
    def access_token_file(self) -> Path:
        """The token of people on its machine."""
        return self.home / "access-token"

    @property
    def enrolment_token_file(self) -> Path:
        """The token that workers register with."""
        return self.home / "enrolment-token"

    def control(self) -> Control:
        """A client of it."""
        return Control.with_token_file(self.address, self.access_token_file)

    def child_pids(self) -> list[int]:
        """Its child processes."""
        return child_pids(self.pid)


def child_pids(pid: int) -> list[int]:
    """The child processes of a process, of all its threads."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
        found += [int(child) for child in re.findall(r"\d+", text)]
    return found

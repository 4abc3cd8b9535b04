"""One transcript as it is played: the server, what was defined, and who takes part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crosswind.control.v1 import dag_runs_pb2
from crosswind.manifest.v1 import dag_pb2
from tests.lifecycle.scene.command import COMMANDS, Block, singles
from tests.lifecycle.scene.plays import Plays
from tests.lifecycle.scene.server import CallRefused, Names, PlayedServer, find_method
from tests.lifecycle.scene.text import Arguments, Unreadable, moment_us
from tests.lifecycle.scene.worker import PlayedWorker
from tests.store.witness import Sightings

START = "2026-06-01T00:00Z"


class Scene:
    """Executes commands.

    Attributes:
        dags: those that were defined, by id; `publish` takes them all.
        workers: by name, the newest instance of each.
        plays: what `work` does with tasks.
        runs: the runs that were seen, so that what is ambiguous is named in full.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._server: PlayedServer | None = None
        self._start_us = moment_us(START, 0)
        self.names = Names()
        self.dags: dict[str, dag_pb2.Dag] = {}
        self.published: dict[str, Any] = {}
        self.workers: dict[str, PlayedWorker] = {}
        self.plays = Plays()
        self.runs: dict[tuple[str, str], None] = {}

    @property
    def server(self) -> PlayedServer:
        """The server; it begins with the first command that needs it."""
        if self._server is None:
            self._server = PlayedServer(self._url, self._start_us)
        return self._server

    def set_start(self, text: str) -> None:
        """Choose the time at which the server begins."""
        if self._server is not None:
            raise Unreadable("The clock is set before anything else; later, let time pass with `advance to`.")
        self._start_us = moment_us(text, 0)

    @property
    def now_us(self) -> int:
        """The time."""
        return self._start_us if self._server is None else self._server.now_us

    def check(self) -> Sightings:
        """What changed its state meanwhile; raises `AssertionError` where the tables do not allow it."""
        return self.server.witness.check()

    def close(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.close()

    # Commands

    def play(self, block: Block) -> list[str]:
        """Execute the commands of a block; answers what they print."""
        printed: list[str] = []
        for text in singles(block):
            if not text.startswith("#"):
                printed += self.execute(text)
        return printed

    def execute(self, text: str) -> list[str]:
        """Execute a command, and let the timekeeper do what is due."""
        verb, _, rest = text.strip().partition(" ")
        if verb not in COMMANDS:
            raise Unreadable(f"There is no command {verb!r}; see tests/lifecycle/scene.")
        arguments = Arguments([], {}, rest) if verb in RAW else Arguments.parse(self.names.resolve(rest))
        lines: list[str] = []
        try:
            for line in COMMANDS[verb](self, arguments):
                lines.append(line)
        except CallRefused as refused:
            lines.append(f"error {refused}")
        else:
            if verb not in RAW:
                arguments.done()
        if self._server is not None:
            self._server.settle()
        return [self.names.of(line) for line in lines]

    # Calls

    def call(self, method: str, token: str | None = None, **fields: Any) -> Any:
        """Make a call with the fields of its request; None leaves a field out."""
        _, request_type, _ = find_method(method)
        given = {name: value for name, value in fields.items() if value is not None}
        return self.server.call(method, request_type(**given), token=token)

    # Who and what

    def worker(self, name: str | None) -> PlayedWorker:
        """A worker by name, or the only one."""
        if name is not None:
            return self.workers[name]
        if len(self.workers) != 1:
            raise Unreadable(f"Say which worker: there are {', '.join(self.workers) or 'none'}.")
        return next(iter(self.workers.values()))

    def note_run(self, dag_id: str, run_id: str) -> None:
        """Remember a run."""
        self.runs.setdefault((dag_id, run_id))

    def all_runs(self) -> Iterable[Any]:
        """All runs, those that began by themselves too, oldest first."""
        runs: list[Any] = []
        token = ""
        while True:
            answer: dag_runs_pb2.ListDagRunsResponse = self.call(
                "DagRunService.ListDagRuns", page_size=1_000, page_token=token
            )
            runs += answer.dag_runs
            token = answer.next_page_token
            if not token:
                break
        for run in reversed(runs):
            self.note_run(run.dag_id, run.run_id)
        return list(reversed(runs))

    def run(self, arguments: Arguments) -> tuple[str, str]:
        """The run that the next words name: `d r1`, `r1`, or nothing where there is only one."""
        if not self.runs:
            self.all_runs()
        words = arguments.words
        if len(words) >= 2 and (words[0], words[1]) in self.runs:
            return words.pop(0), words.pop(0)
        if words:
            found = [key for key in self.runs if key[1] == words[0]]
            if len(found) == 1:
                words.pop(0)
                return found[0]
            if len(words) >= 2 and words[0] in self.dags:
                return words.pop(0), words.pop(0)
        if len(self.runs) == 1:
            return next(iter(self.runs))
        raise Unreadable(f"Say which run: there are {', '.join(f'{dag} {run}' for dag, run in self.runs) or 'none'}.")

    def label(self, dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
        """An instance's name, in full where there are several runs."""
        self.note_run(dag_id, run_id)
        name = task_id if map_index is None else f"{task_id}[{map_index}]"
        if len(self.runs) == 1:
            return name
        return f"{run_id}/{name}" if len({run[0] for run in self.runs}) == 1 else f"{dag_id}/{run_id}/{name}"


RAW = {"dag", "manifest", "call", "ask"}
"""Commands that read their text by themselves."""

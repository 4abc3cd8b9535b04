"""Workers as real processes, of each kind that there is: what a test says to one it says to any."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from tests.e2e.support.dags import DagSpec
from tests.e2e.support.go_bundles import GoBundles, install
from tests.e2e.support.processes import BIN, Process
from tests.e2e.support.python_dags import python_source

PYTHON_SOURCE = pytest.mark.parametrize("worker_kind", ["python"], indirect=True)
"""Marks a test that is about DAG files in Python."""
NO_WORKER = pytest.mark.parametrize("worker_kind", ["python"], indirect=True)
"""Marks a test in which no worker of any kind takes part: once is enough."""


class WorkerKind(abc.ABC):
    """A language's worker: how its DAGs are written and how it is started."""

    name: ClassVar[str]
    copies: ClassVar[Path | None] = None
    """Where in its state folder it keeps copies of what it runs."""

    @abc.abstractmethod
    def write(self, dag: DagSpec, folder: Path, stage: Path) -> Path:
        """Write, and where needed build, the source of a DAG into a folder of DAGs; returns its file."""

    @abc.abstractmethod
    def spoil(self, dag_id: str, folder: Path) -> str:
        """Make a source what nobody can read; returns a pattern of what its worker says of it."""

    @abc.abstractmethod
    def command(self, *, dags: Path, options: Sequence[str | Path]) -> list[str | Path]:
        """The command of a worker over a folder of DAGs, with options that every worker has."""


class PythonKind(WorkerKind):
    """`crosswind-worker`."""

    name = "python"

    def write(self, dag: DagSpec, folder: Path, stage: Path) -> Path:
        """Write the file `<dag_id>.py`, at once, so that a watching worker never reads half of it."""
        return self._put(python_source(dag, stage), folder / f"{dag.dag_id}.py")

    def spoil(self, dag_id: str, folder: Path) -> str:
        """Write a file with an error of syntax."""
        self._put("def broken(:\n", folder / f"{dag_id}.py")
        return rf"{dag_id}\.py:1"

    def _put(self, source: str, file: Path) -> Path:
        half = file.with_name(f".{file.name}.half")
        half.write_text(source)
        return half.replace(file)

    def command(self, *, dags: Path, options: Sequence[str | Path]) -> list[str | Path]:
        """The command."""
        return [BIN / "crosswind-worker", "--dags", dags, *options]


class GoKind(WorkerKind):
    """`crosswind-go-worker`.

    Args:
        bundles: where it and what it runs is built.
    """

    name = "go"
    copies = Path("bundles")

    def __init__(self, bundles: GoBundles) -> None:
        self.bundles = bundles

    def write(self, dag: DagSpec, folder: Path, stage: Path) -> Path:
        """Put the packed bundle `<dag_id>`, which holds the one DAG, in its place."""
        return install(self.bundles.puppets(dag, stage), folder / dag.dag_id)

    def spoil(self, dag_id: str, folder: Path) -> str:
        """Cut off the end of a bundle, as a copy that did not come to its end has it."""
        bundle = folder / dag_id
        half = bundle.with_name(f".{dag_id}.half")
        half.write_bytes(bundle.read_bytes()[:-100])
        half.replace(bundle)
        return rf"The bundle {bundle} is not packed: .* stays on offer"

    def command(self, *, dags: Path, options: Sequence[str | Path]) -> list[str | Path]:
        """The command."""
        return [self.bundles.command("crosswind-go-worker"), "--dags", dags, *options]


class WorkerProcess(Process):
    """A worker. Started again it has the same name and state folder.

    Args:
        kind: of which language.
        server: the address to dial.
        token_file: the enrolment token; None leaves it to discovery.
        dags: its folder of DAGs.
        folder: its working directory; its state folder is `state` in there.
    """

    def __init__(
        self,
        kind: WorkerKind,
        server: str,
        token_file: Path | None,
        *,
        dags: Path,
        folder: Path,
        name: str = "worker",
        slots: int = 4,
        queues: Sequence[str] = (),
        state: Path | None = None,
        options: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
        wrap: Sequence[str | Path] = (),
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = state or folder / "state"
        self.worker_name = name
        command = kind.command(
            dags=dags,
            options=[
                *("--server", server, "--name", name, "--slots", str(slots), "--state-dir", self.state),
                *(("--token-file", token_file) if token_file is not None else ()),
                *(part for queue in queues for part in ("--queue", queue)),
                *options,
            ],
        )
        super().__init__(name, [*wrap, *command], folder=folder, environment=environment, pass_fds=pass_fds)

    def wait_on_offer(self, *, since: int = 0) -> None:
        """Wait until the server has taken its registration and what its folder holds now."""
        self.wait_for(r"On offer: \S+ \S", since=since)

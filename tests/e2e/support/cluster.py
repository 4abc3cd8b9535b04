"""A server, workers, a stage and a proxy together: what most tests begin with."""

import contextlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.e2e.support.control import Control
from tests.e2e.support.dags import DagSpec, TaskSpec
from tests.e2e.support.processes import Process
from tests.e2e.support.protocol_worker import ProtocolWorker
from tests.e2e.support.proxy import FaultProxy
from tests.e2e.support.puppets import Stage
from tests.e2e.support.scripted_process import ScriptedProcess
from tests.e2e.support.servers import Pace, ServerProcess
from tests.e2e.support.workers import WorkerKind, WorkerProcess

Result = TypeVar("Result")


class Cluster:
    """Everything of one test, closed with it. Nothing is started until it is asked for."""

    def __init__(self, kind: WorkerKind, database_url: str, folder: Path) -> None:
        self.kind = kind
        self.database_url = database_url
        self.folder = folder
        self.dags = folder / "dags"
        self.dags.mkdir()
        self.processes: list[Process] = []
        self._stack = contextlib.ExitStack()
        self.stage = self._stack.enter_context(Stage())
        self._threads = self._stack.enter_context(ThreadPoolExecutor(8))
        self._server: ServerProcess | None = None
        self._control: Control | None = None

    def close(self) -> None:
        """End all of it."""
        self._stack.close()

    def logs(self) -> str:
        """The ends of all logs, for a test that failed."""
        return "\n".join(process.tail(80) for process in self.processes)

    def start_server(self, *, pace: Pace | None = None, **options: Any) -> ServerProcess:
        """Start the server."""
        server = ServerProcess(self.database_url, self.folder / "server", pace=pace, **options)
        self.processes.append(server)
        self._stack.callback(server.close)
        self._server = server.start()
        return server

    @property
    def server(self) -> ServerProcess:
        """The server; it is started when first asked for."""
        return self._server or self.start_server()

    @property
    def control(self) -> Control:
        """The control client."""
        if self._control is None:
            self._control = self.server.control()
            self._stack.callback(self._control.close)
        return self._control

    def proxy(self) -> FaultProxy:
        """A new proxy before the server."""
        return self._stack.enter_context(FaultProxy(self.server.address))

    def rewrite(self, worker: WorkerProcess, dag: DagSpec) -> None:
        """Write a DAG anew, and wait until new runs begin with it."""
        since = worker.mark()
        self.write(dag)
        version = worker.wait_for(rf"version (\w+): .*\b{dag.dag_id}\b", since=since).group(1)
        worker.wait_for(f"On offer: .*{version}", since=since)

    def let_leases_run_out(self) -> None:
        """Let more time pass than a lease lasts. Time is the event here: nothing else could signal it."""
        threading.Event().wait(Pace().lease_duration * 1.2)

    def connections_of(self, process: Process) -> set[int]:
        """The local ports of a process's connections to the server, which tell one connection from its successor."""
        port = int(self.server.address.rsplit(":", 1)[1])
        every = psutil.Process(process.pid).net_connections("tcp")
        return {one.laddr.port for one in every if one.status == "ESTABLISHED" and one.raddr.port == port}

    def tokens_of(self, worker: WorkerProcess) -> list[str]:
        """Every token that a worker has: the one that it registers with, and what its state folder holds."""
        files = [self.server.enrolment_token_file, *(path for path in worker.state.rglob("*") if path.is_file())]
        found = [token for path in files for token in re.findall(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+", path.read_bytes())]
        return [token.decode() for token in found]

    def in_background(self, call: Callable[[], Result]) -> Future[Result]:
        """Make a call in a thread of its own."""
        return self._threads.submit(call)

    def write(self, *dags: DagSpec) -> None:
        """Write DAGs into the folder that workers watch."""
        for dag in dags:
            self.kind.write(dag, self.dags, self.stage.path)

    def worker(self, name: str = "worker", *, through: FaultProxy | None = None, **options: Any) -> WorkerProcess:
        """Make a worker without starting it; through a proxy, or of another kind, if one is given."""
        arguments: dict[str, Any] = {"dags": self.dags, "folder": self.folder / name, "name": name, **options}
        address = arguments.pop("address", through.address if through else self.server.address)
        token_file = arguments.pop("token_file", self.server.enrolment_token_file)
        worker = WorkerProcess(arguments.pop("kind", self.kind), address, token_file, **arguments)
        self.processes.append(worker)
        self._stack.callback(worker.close)
        return worker

    def start_worker(self, name: str = "worker", **options: Any) -> WorkerProcess:
        """Start a worker and return when it is registered."""
        worker = self.worker(name, **options)
        worker.start()
        worker.wait_on_offer()
        return worker

    def start_scripted_worker(self, script: str, name: str = "scripted", **options: Any) -> ScriptedProcess:
        """Start a worker that plays a script, and return when it has published its DAGs."""
        token_file = self.server.enrolment_token_file
        worker = ScriptedProcess(
            self.server.address, token_file, script=script, name=name, folder=self.folder / name, **options
        )
        self.processes.append(worker)
        self._stack.callback(worker.close)
        worker.start()
        worker.wait_for("^published")
        return worker

    def protocol_worker(self, name: str = "bare") -> ProtocolWorker:
        """A worker made of bare calls."""
        worker = ProtocolWorker(self.server.address, self.server.enrolment_token_file.read_text().strip(), name=name)
        self._stack.callback(worker.close)
        return worker

    def command(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Any:
        """Run the people's command beside the server, so that it finds it by itself."""
        from tests.e2e.support.processes import BIN, run

        return run([BIN / "crosswind", *arguments], folder=self.server.folder, environment=environment)


def one_task(dag_id: str = "one", **options: Any) -> DagSpec:
    """A DAG with the one task `work`."""
    return DagSpec(dag_id, (TaskSpec("work", **options),))


def chain(dag_id: str = "chain", names: Sequence[str] = ("first", "second")) -> DagSpec:
    """A DAG of tasks that each take the result of the one before."""
    tasks = [TaskSpec(name, after=tuple(names[index - 1 : index])) for index, name in enumerate(names)]
    return DagSpec(dag_id, tuple(tasks))

"""What is measured: a server on one database, with workers, as real processes with the settings that users get."""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from crosswind.control.v1 import dag_runs_pb2, task_instances_pb2
from tests.bench.readings import cpu_seconds, family_cpu_seconds
from tests.e2e.support.control import FINAL_RUN_STATES, Control, run_state
from tests.e2e.support.processes import Process
from tests.e2e.support.servers import Pace, ServerProcess
from tests.e2e.support.workers import PythonKind, WorkerProcess
from tests.postgres import PostgresServer

WORKSPACE = Path("build") / "bench"
PATIENCE = 120.0
LOOK_EVERY = 0.5


class BenchFailed(Exception):
    """A figure could not be taken; the message says why."""


class DefaultPace(Pace):
    """The server's own durations; `settings` are exceptions."""

    def environment(self) -> dict[str, str]:
        """No setting."""
        return {}


@dataclass
class Site:
    """A server and its database, and a client of it."""

    database: str
    folder: Path
    server: ServerProcess
    control: Control
    stack: contextlib.ExitStack

    def start_worker(self, source: str, *, slots: int, name: str = "bench") -> WorkerProcess:
        """Start a Python worker over one DAG file; return when it is registered."""
        dags = self.folder / f"{name}-dags"
        dags.mkdir()
        (dags / "bench_dags.py").write_text(source)
        worker = WorkerProcess(
            PythonKind(),
            self.server.address,
            self.server.enrolment_token_file,
            dags=dags,
            folder=self.folder / name,
            name=name,
            slots=slots,
        )
        self.stack.callback(worker.close)
        worker.start()
        worker.wait_on_offer()
        return worker

    def start_go_worker(self, command: Path, bundle: Path, *, slots: int, name: str = "bench-go") -> Process:
        """Start a Go worker over one packed bundle; return when it is registered."""
        folder = self.folder / name
        folder.mkdir()
        options = {
            "--bundle": bundle,
            "--server": self.server.address,
            "--token-file": self.server.enrolment_token_file,
            "--state-dir": folder / "state",
            "--name": name,
            "--slots": slots,
            "--log-level": "debug",
        }
        words = [str(word) for option in options.items() for word in option]
        worker = Process(name, [command, *words], folder=folder)
        self.stack.callback(worker.close)
        worker.start()
        worker.wait_for(r"On offer: \S+ \S")
        return worker

    def run(self, dag_id: str) -> list[task_instances_pb2.TaskInstance]:
        """Run a DAG to its end and return its task instances.

        It looks at the run now and then instead of waiting for each change, which would be a load of its own; the
        figures come from the server's times.
        """
        run_id = self.control.trigger(dag_id)
        request = dag_runs_pb2.GetDagRunRequest(dag_id=dag_id, run_id=run_id)
        waited = 0.0
        while (state := run_state(self.control.call(self.control.runs.GetDagRun, request).dag_run)) not in (
            FINAL_RUN_STATES
        ):
            if waited > PATIENCE:
                raise BenchFailed(f"The run {dag_id}/{run_id} is still {state} after {waited:g} s.")
            threading.Event().wait(LOOK_EVERY)
            waited += LOOK_EVERY
        if state != "SUCCEEDED":
            raise BenchFailed(f"The run {dag_id}/{run_id} ended {state}.\n{self.server.tail()}")
        return self.task_instances(dag_id, run_id)

    def task_instances(self, dag_id: str, run_id: str) -> list[task_instances_pb2.TaskInstance]:
        """The task instances of a run."""
        found: list[task_instances_pb2.TaskInstance] = []
        request = task_instances_pb2.ListTaskInstancesRequest(dag_id=dag_id, run_id=run_id, page_size=1000)
        while True:
            page = self.control.call(self.control.tasks.ListTaskInstances, request)
            found += page.task_instances
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def server_cpu(self) -> float:
        """CPU seconds of the server until now."""
        return cpu_seconds(self.server.pid)

    def worker_cpu(self, worker: Process) -> float:
        """CPU seconds of a worker and of all below it until now."""
        return family_cpu_seconds(worker.pid)


@contextlib.contextmanager
def open_site(database: str, *, settings: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Start a server on a new database of a kind; everything ends and is removed with the context.

    Both databases write commits to the disk before they answer, as in earnest.
    """
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    # Beside the project and not in /tmp, which may lie in memory, where a commit would cost nothing.
    folder = Path(tempfile.mkdtemp(prefix=f"{database}-", dir=WORKSPACE)).resolve()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if database == "sqlite":
            url = f"sqlite:///{folder}/crosswind.db"
        else:
            url = stack.enter_context(PostgresServer(fsync=True)).create_database()
        server = ServerProcess(url, folder / "server", pace=DefaultPace(), environment=settings)
        stack.callback(server.close)
        server.start()
        control = server.control()
        stack.callback(control.close)
        yield Site(database=database, folder=folder, server=server, control=control, stack=stack)

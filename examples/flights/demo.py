"""Runs the flights pipeline in two languages, on a server, a Python worker and a Go worker of its own, and stops all.

First the DAG `flights`, written in Python with one task in Go, then `flights_go`, which is in Go altogether. Everything
that is written lies in a new folder under `build/demo`, the reports too, and what is built of Go under `build/go`.
"""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table

from crosswind.cli.location import read_token
from crosswind.cli.progress import open_view, watch_run
from crosswind.cli.rows import decode_payload
from crosswind.cli.runs import report_failures
from crosswind.client.control_client import ControlClient, ControlError, new_request_id
from crosswind.control.v1.dag_runs_pb2 import DagRun, TriggerDagRunRequest
from crosswind.control.v1.states_pb2 import RUN_STATE_SUCCEEDED
from crosswind.control.v1.xcoms_pb2 import GetXComRequest
from crosswind.value.v1.value_pb2 import Payload

EXAMPLE = Path(__file__).resolve().parent
ROOT = EXAMPLE.parent.parent
BUILD = ROOT / "build" / "demo"
GO_BUILD = ROOT / "build" / "go"
BUNDLE = GO_BUILD / "flights_go.bundle"
BIN = Path(sys.executable).parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0
console = Console()


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


class Process:
    """A process that is started with its log in a file, and stopped with SIGTERM."""

    def __init__(self, name: str, command: Sequence[str | Path], *, folder: Path) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        # A session of its own, so that Ctrl-C reaches this program alone, which then stops things in order.
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=clean_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-log", daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Waits until the process says something."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._find(pattern), START_SECONDS)
            found = self._find(pattern)
        if found is None:
            state = "ended" if self._ended else f"did not say so within {START_SECONDS:g} s"
            raise DemoFailed(f"The {self.name} was to be ready, but {state}.")
        return found

    def stop(self) -> None:
        """Asks the process to end and waits until it has."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)

    def tail(self) -> str:
        """The end of its log."""
        with self._changed:
            return "".join(self._lines[-25:])

    def _find(self, pattern: str) -> re.Match[str] | None:
        return next((found for line in self._lines if (found := re.search(pattern, line))), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines, self.log_file.open("w", encoding="utf-8") as log:
            for line in lines:
                log.write(line)
                log.flush()
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def main() -> int:
    """Runs the demo. Returns 0 when both DAGs succeeded, 1 when one did not, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then too
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    processes: list[Process] = []
    reports: list[Path] = []
    try:
        build_bundle()
        with start_all(folder, processes) as client:
            rankings = []
            for dag_id in ("flights", "flights_go"):
                run = run_to_end(client, dag_id, workdir=folder / dag_id)
                reports.append(folder / dag_id / run.run_id / "report.md")
                rankings.append(read_ranking(client, run))
            show_ranking(rankings[0])
            if not is_same(*rankings):
                raise DemoFailed("The two DAGs do not give the same figures.")
            console.print("The DAG in Go, flights_go, gives the same figures.")
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (DemoFailed, ControlError, grpc.RpcError) as error:
        console.print(str(error), style="bold red", markup=False)
        for process in processes:
            console.print(f"--- the end of {process.log_file}", style="bold", markup=False)
            console.print(process.tail(), markup=False, highlight=False, soft_wrap=True)
        return 1
    console.print(f"The report is {reports[0]}", highlight=False, soft_wrap=True)
    console.print(f"That of the DAG in Go is {reports[1]}", highlight=False, soft_wrap=True)
    return 0


def build_bundle() -> None:
    """Builds the commands of the Go SDK and packs the bundle; what has not changed takes a moment."""
    if shutil.which("go") is None:
        raise DemoFailed("There is no Go on the PATH: `make demo` brings one.")
    first = "" if BUNDLE.exists() else ", once; this takes a minute"
    console.print(f"Building the Go worker and the bundle flights_go{first}", style="dim")
    GO_BUILD.mkdir(parents=True, exist_ok=True)
    commands = ["./cmd/crosswind-go-pack", "./cmd/crosswind-go-worker"]
    build(["go", "build", "-o", f"{GO_BUILD}/", *commands], folder=ROOT / "sdk_go")
    build([GO_BUILD / "crosswind-go-pack", ".", "-o", BUNDLE], folder=EXAMPLE / "go")


def build(command: Sequence[str | Path], *, folder: Path) -> None:
    """Runs a command that builds something."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(f"{Path(command[0]).name} failed in {folder}:\n{done.stdout}{done.stderr}".rstrip())


@contextlib.contextmanager
def start_all(folder: Path, processes: list[Process]) -> Iterator[ControlClient]:
    """A server, and a worker for each language; all are stopped afterwards, the workers first."""
    with contextlib.ExitStack() as stack:
        console.print("Starting a server on SQLite, a Python worker and a Go worker", style="dim")
        server = Process("server", [BIN / "crosswind-server", "start", "--address", "127.0.0.1:0"], folder=folder)
        processes.append(server)
        stack.callback(server.stop)
        address = server.wait_for(r"listening on (\S+)").group(1)
        wait_until_healthy(address)
        home = folder / ".crosswind"
        options: list[str | Path] = ["--server", address, "--token-file", home / "enrolment-token", "--state-dir"]
        workers = {
            "worker": [BIN / "crosswind-worker", *options, folder / "worker-state", "--dags", EXAMPLE / "dags"],
            "go-worker": [GO_BUILD / "crosswind-go-worker", *options, folder / "go-worker-state", "--bundle", BUNDLE],
        }
        started = [Process(name, command, folder=folder) for name, command in workers.items()]
        processes += started
        for worker in started:
            stack.callback(worker.stop)
        for worker in started:
            worker.wait_for(r"On offer: \S+ \w")
        with ControlClient(address, token=read_token(home / "access-token")) as client:
            yield client


def wait_until_healthy(address: str) -> None:
    """Waits until the server says that it serves."""
    with grpc.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        health.Check(health_pb2.HealthCheckRequest(), timeout=START_SECONDS, wait_for_ready=True)


def run_to_end(client: ControlClient, dag_id: str, *, workdir: Path) -> DagRun:
    """Runs a DAG and shows how it goes."""
    parameters = {"workdir": str(workdir)}
    if dag_id == "flights_go":
        parameters["data"] = str(EXAMPLE / "data")
    conf = Payload(encoding="json/utf-8", data=json.dumps(parameters).encode())
    request = TriggerDagRunRequest(dag_id=dag_id, conf=conf, request_id=new_request_id())
    triggered = client.call(client.dag_runs.TriggerDagRun, request).dag_run
    run = watch_run(client, triggered, open_view(screen=console.is_terminal))
    if run.state != RUN_STATE_SUCCEEDED:
        report_failures(client, run)
        raise DemoFailed(f"The run {run.dag_id}/{run.run_id} did not succeed.")
    return run


def read_ranking(client: ControlClient, run: DagRun) -> list[dict[str, Any]]:
    """What the last task returned."""
    request = GetXComRequest(dag_id=run.dag_id, run_id=run.run_id, task_id="report")
    ranking: list[dict[str, Any]] = decode_payload(client.call(client.xcoms.GetXCom, request).value)
    return ranking


def is_same(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> bool:
    """Whether two rankings hold the same, but for the last digits of what was summed in another order."""
    return len(first) == len(second) and all(
        one.keys() == other.keys()
        and all(
            math.isclose(one[key], other[key]) if isinstance(one[key], float) else one[key] == other[key] for key in one
        )
        for one, other in zip(first, second, strict=True)
    )


def show_ranking(ranking: list[dict[str, Any]]) -> None:
    """Prints the airlines, the latest first."""
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    console.print("\nDeparture delays from New York, January 2013, in minutes", style="bold")
    table.add_column("#", justify="right")
    table.add_column("airline", no_wrap=True)
    for heading in ("flights", "cancelled", "mean", "median", "p95"):
        table.add_column(heading, justify="right")
    table.add_column("worst route", no_wrap=True)
    for one in ranking:
        delays = [one[name] for name in ("mean_delay", "median_delay", "p95_delay")]
        worst = f"{one['worst_route']} {one['worst_route_mean_delay']:.1f}" if one["worst_route"] else "-"
        table.add_row(
            str(one["rank"]),
            one["name"],
            f"{one['flights']:,}",
            f"{one['cancelled']:,}",
            *("-" if delay is None else f"{delay:.1f}" for delay in delays),
            worst,
        )
    console.print(table)


def clean_environment(folder: Path) -> dict[str, str]:
    """This environment without settings of another Crosswind; what programs keep for the user stays in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CROSSWIND_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}


if __name__ == "__main__":
    sys.exit(main())

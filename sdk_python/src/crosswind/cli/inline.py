"""`crosswind run`: a DAG file on a server in this process, its tasks on the main thread, for breakpoints.

Server and worker are the real ones; only the database is in memory and the tasks are not forked.
"""

import contextlib
import logging
import pdb
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosswind.author.bundle import LoadedBundle, load_bundle
from crosswind.cli.dags import encode_conf
from crosswind.cli.failures import CommandError, ExitCode, usage_error
from crosswind.cli.output import Output, note, print_json, print_line
from crosswind.cli.presets import set_presets
from crosswind.cli.progress import LineView, elapsed_text, list_task_summaries, watch_run
from crosswind.cli.references import run_name
from crosswind.cli.rows import decode_payload, enum_word, to_object
from crosswind.client.control_client import ControlClient, ControlError, new_request_id
from crosswind.control.v1.connections_pb2 import Connection
from crosswind.control.v1.dag_runs_pb2 import DagRun, TriggerDagRunRequest
from crosswind.control.v1.dags_pb2 import UpdateDagRequest
from crosswind.control.v1.states_pb2 import RUN_STATE_SUCCEEDED, RunState
from crosswind.control.v1.xcoms_pb2 import GetXComRequest
from crosswind.manifest.v1.dag_pb2 import Dag
from crosswind.runtime.inline import InlineWorker

NO_SERVER = "`crosswind run` needs the server, which runs in this process: pip install crosswind-server"
SHOWN_CHARACTERS = 2000


def run_inline(
    file: Path,
    dag: str,
    *,
    conf: str,
    debug: bool,
    output: Output,
    variables: Mapping[str, str] | None = None,
    connections: Sequence[Connection] = (),
) -> int:
    """Runs a DAG of a file in this process.

    Args:
        file: the DAG file.
        dag: which DAG; empty where the file has one.
        conf: parameters of the run, see `encode_conf`; may be empty.
        debug: open the debugger where a task fails.
        output: how the answer is printed.
        variables: what `Variable.get` finds, by key.
        connections: what `Connection.get` finds.

    Returns:
        0 when the run succeeded, 1 when it did not.

    Raises:
        CommandError: the file, the DAG or the parameters cannot be used.
        KeyboardInterrupt: Ctrl-C ended the task that ran.
        ControlError: a variable or connection was refused, or the run could not be watched to its end.
    """
    payload = encode_conf(conf) if conf else None
    loaded = _load(file)
    dag_id = _choose_dag(loaded, file, dag)
    needs = _read_needs(loaded, dag_id)
    try:
        from crosswind_server import server_log
        from crosswind_server.app import serve_in_thread
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "crosswind_server":
            raise
        raise usage_error(NO_SERVER) from None
    server_log.configure(form="console", level="info")
    for name in ("crosswind.server", "crosswind.worker"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what tasks log is what matters here
    with (
        serve_in_thread() as server,
        ControlClient(server.address, token=server.access_token) as client,
        InlineWorker(
            address=server.address,
            token=server.enrolment_token,
            loaded=loaded,
            name="here",
            slots=needs.slots,
            queues=needs.queues,
        ) as worker,
    ):
        set_presets(client, variables or {}, connections)
        # A DAG may begin paused; who runs its file wants to see it run.
        client.call(client.dags.UpdateDag, UpdateDagRequest(dag_id=dag_id, paused=False, request_id=new_request_id()))
        request = TriggerDagRunRequest(dag_id=dag_id, conf=payload, request_id=new_request_id())
        watch = _Watch(client, client.call(client.dag_runs.TriggerDagRun, request).dag_run, worker)
        debugger = _debugger() if debug else contextlib.nullcontext()
        # Where stdout holds JSON, what tasks print goes to stderr.
        stdout = contextlib.redirect_stdout(sys.stderr) if output is Output.JSON else contextlib.nullcontext()
        with debugger, stdout:
            worker.run_tasks()
        run = watch.result()
        _print_result(client, run, output=output)
    return ExitCode.DONE if run.state == RUN_STATE_SUCCEEDED else ExitCode.FAILED


@dataclass(frozen=True, kw_only=True)
class _Needs:
    """What the tasks of a DAG need of their worker."""

    slots: int
    queues: tuple[str, ...]


class _Watch:
    """Shows a run from a thread of its own, and ends the worker when the run has ended."""

    def __init__(self, client: ControlClient, run: DagRun, worker: InlineWorker) -> None:
        self._client = client
        self._run = run
        self._worker = worker
        self._error: ControlError | None = None
        self._thread = threading.Thread(target=self._watch, name="crosswind-watch", daemon=True)
        self._thread.start()

    def result(self) -> DagRun:
        """The run as it ended.

        Raises:
            ControlError: it could not be watched to its end.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._run

    def _watch(self) -> None:
        try:
            # Lines and no live display: a debugger needs the terminal as it is.
            self._run = watch_run(self._client, self._run, LineView())
        except ControlError as error:
            self._error = error
        finally:
            self._worker.end()


class _PostMortem(logging.Handler):
    """Opens the debugger where a task failed.

    A task's failure is logged while its exception is being handled, on the thread that ran it: there the frames are
    still at hand, and the rest of the worker goes on meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if error is not None and error.__traceback__ is not None:
            note(f"{type(error).__name__}: {error}")
            pdb.post_mortem(error.__traceback__)


@contextlib.contextmanager
def _debugger() -> Iterator[None]:
    logger, handler = logging.getLogger("crosswind.task"), _PostMortem()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _load(file: Path) -> LoadedBundle:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", file.absolute().stem)
    try:
        loaded = load_bundle(file, name)
    except FileNotFoundError:
        raise usage_error(f"There is nothing at {file}: name a DAG file.") from None
    for problem in loaded.problems:
        note(str(problem))
    return loaded


def _choose_dag(loaded: LoadedBundle, file: Path, dag: str) -> str:
    if dag in loaded.dags:
        return dag
    if not loaded.dags:
        if loaded.problems:
            raise CommandError(f"{file} has no DAG that can be run; what is wrong stands above.")
        raise CommandError(f"{file} has no DAG: define one with `with DAG(...):`.")
    names = ", ".join(sorted(loaded.dags))
    if dag:
        raise usage_error(f"{file} has no DAG `{dag}`: it has {names}.")
    if len(loaded.dags) > 1:
        raise usage_error(f"{file} has several DAGs: say which of {names}.")
    return next(iter(loaded.dags))


def _read_needs(loaded: LoadedBundle, dag_id: str) -> _Needs:
    """What the one worker of this process must offer, so that no task waits for another.

    Raises:
        CommandError: a task is another bundle's, whose workers are not here.
    """
    tasks = Dag.FromString(loaded.messages[dag_id]).tasks
    for task in tasks:
        reference = task.reference
        if task.HasField("reference") and (
            reference.bundle != loaded.name or reference.entry_point not in loaded.offered
        ):
            raise CommandError(
                f"Task {task.task_id} of {dag_id} is `{reference.entry_point}` of the bundle {reference.bundle}, which "
                f"`crosswind run` does not have: run the DAG on a server (`crosswind-server dev`) to which a worker of "
                f"that bundle is connected."
            )
    queues = {task.queue or "default" for task in tasks} | {"default"}
    return _Needs(slots=max((task.slots for task in tasks), default=1) or 1, queues=tuple(sorted(queues)))


def _print_result(client: ControlClient, run: DagRun, *, output: Output) -> None:
    """Says how the run ended, and what the tasks returned that nothing follows."""
    results = _read_results(client, run)
    if output is Output.JSON:
        print_json({**to_object(run), "results": results})
        return
    for task_id, value in results.items():
        text = repr(value)
        cut = " ..." if len(text) > SHOWN_CHARACTERS else ""
        print_line(f"{task_id} returned {text[:SHOWN_CHARACTERS]}{cut}")
    took = elapsed_text(run.queued_time, run.end_time)
    print_line(f"{run_name(run)} {enum_word(RunState.DESCRIPTOR, run.state)} after {took}.")


def _read_results(client: ControlClient, run: DagRun) -> dict[str, Any]:
    tasks = list_task_summaries(client, run)
    followed = {upstream for task in tasks for upstream in task.upstream_task_ids}
    results: dict[str, Any] = {}
    for task in tasks:
        if task.task_id in followed or task.mapped:
            continue
        request = GetXComRequest(dag_id=run.dag_id, run_id=run.run_id, task_id=task.task_id)
        try:
            results[task.task_id] = decode_payload(client.call(client.xcoms.GetXCom, request).value)
        except ControlError as error:
            if error.reason != "XCOM_NOT_FOUND":  # it returned nothing
                raise
    return results

"""A run while it goes on: a line for each task, a bar for a mapped one; plain lines where there is no terminal.

Progress goes to stderr, so that stdout holds the answer alone.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from crosswind.cli.output import STATE_STYLES, duration_text, note, stderr_console
from crosswind.cli.rows import enum_word
from crosswind.client.control_client import ControlClient
from crosswind.control.v1.dag_runs_pb2 import DagRun, GetDagRunRequest
from crosswind.control.v1.states_pb2 import (
    RUN_STATE_CANCELLED,
    RUN_STATE_FAILED,
    RUN_STATE_SUCCEEDED,
    TASK_STATE_FAILED,
    WAITING_REASON_SLOTS,
    RunState,
    TaskState,
)
from crosswind.control.v1.task_instances_pb2 import ListTaskInstancesRequest, TaskInstance

WAIT_SECONDS = 20.0
PATIENCE_SECONDS = 300.0  # a watch outlives a restart of the server
REFRESH_SECONDS = 0.1  # the screen shows at most ten revisions a second, however fast a run changes
FINAL_RUN_STATES = (RUN_STATE_SUCCEEDED, RUN_STATE_FAILED, RUN_STATE_CANCELLED)
FINAL_TASK_WORDS = ("succeeded", "failed", "skipped", "upstream_failed", "cancelled", "removed")
MARKS = {
    "succeeded": "✓",
    "failed": "✗",
    "upstream_failed": "✗",
    "cancelled": "✗",
    "skipped": "-",
    "up_for_retry": "↻",
    "removed": "-",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run and its tasks at one revision; of a mapped task the summary."""

    run: DagRun
    tasks: Sequence[TaskInstance]


class View(Protocol):
    """Shows snapshots as they come."""

    def show(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


def open_view(*, screen: bool | None = None) -> View:
    """A live view on a terminal, plain lines elsewhere.

    Args:
        screen: whether stderr is a terminal. None: look.
    """
    return ScreenView() if (sys.stderr.isatty() if screen is None else screen) else LineView()


def watch_run(client: ControlClient, run: DagRun, view: View) -> DagRun:
    """Shows a run until it has ended. A server that restarts meanwhile is waited for.

    Returns:
        The run as it ended.

    Raises:
        ControlError: the run is not there any more, or the server cannot be reached for five minutes.
        KeyboardInterrupt: the person had enough. The run goes on.
    """
    wait = Duration(seconds=int(WAIT_SECONDS))
    try:
        while True:
            view.show(Snapshot(run=run, tasks=list_task_summaries(client, run)))
            if run.state in FINAL_RUN_STATES:
                return run
            shown = time.monotonic()
            request = GetDagRunRequest(dag_id=run.dag_id, run_id=run.run_id, wait=wait, known_revision=run.revision)
            run = client.call(client.dag_runs.GetDagRun, request, wait=WAIT_SECONDS, patience=PATIENCE_SECONDS).dag_run
            if run.state not in FINAL_RUN_STATES:
                time.sleep(max(0.0, shown + REFRESH_SECONDS - time.monotonic()))
    finally:
        view.close()


def list_task_summaries(client: ControlClient, run: DagRun) -> list[TaskInstance]:
    """The tasks of a run, a mapped one by its summary."""
    request = ListTaskInstancesRequest(dag_id=run.dag_id, run_id=run.run_id, exclude_mapped=True)
    return list(
        client.list_rows(client.task_instances.ListTaskInstances, request, "task_instances", patience=PATIENCE_SECONDS)
    )


def list_failures(client: ControlClient, run: DagRun) -> list[TaskInstance]:
    """The task instances of a run that failed themselves, at most ten."""
    request = ListTaskInstancesRequest(dag_id=run.dag_id, run_id=run.run_id, states=[TASK_STATE_FAILED])
    listed = client.list_rows(client.task_instances.ListTaskInstances, request, "task_instances", limit=11)
    return [task for task in listed if not (task.mapped and not task.HasField("map_index"))][:10]


def state_word(task: TaskInstance) -> str:
    """The state of a task instance, lower-case."""
    return enum_word(TaskState.DESCRIPTOR, task.state) or "unknown"


def instance_name(task: TaskInstance) -> str:
    """`task_id`, or `task_id[3]` for an instance of a mapped task."""
    return f"{task.task_id}[{task.map_index}]" if task.HasField("map_index") else task.task_id


def failure_text(task: TaskInstance) -> str:
    """Type and message of the last failure, on one line."""
    message = " ".join(task.failure.message.split())
    return f"{task.failure.type}: {message}" if message else task.failure.type


def elapsed_text(start: Timestamp, end: Timestamp | None) -> str:
    """How long something took, or has taken until now."""
    until = end.ToDatetime(tzinfo=UTC) if end is not None else datetime.now(UTC)
    return duration_text((until - start.ToDatetime(tzinfo=UTC)).total_seconds())


def mapped_progress(task: TaskInstance) -> tuple[int, int]:
    """Of a mapped task's summary: how many instances have ended, and how many there are."""
    return sum(
        count.count for count in task.mapped_counts if enum_word(TaskState.DESCRIPTOR, count.state) in FINAL_TASK_WORDS
    ), task.mapped_total


class LineView:
    """Prints a line whenever a task changes its state; of a mapped task for about every tenth of its instances."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def show(self, snapshot: Snapshot) -> None:
        for task in snapshot.tasks:
            self._say(task.task_id, f"{task.task_id} {self._line(task)}")
        word = enum_word(RunState.DESCRIPTOR, snapshot.run.state)
        self._say("", f"run {snapshot.run.dag_id}/{snapshot.run.run_id} {word}")

    def close(self) -> None:
        """Nothing is left open."""

    def _say(self, key: str, line: str) -> None:
        if self._shown.get(key) != line:
            self._shown[key] = line
            note(f"{datetime.now().astimezone():%H:%M:%S} {line}")

    def _line(self, task: TaskInstance) -> str:
        word = state_word(task)
        if task.mapped and task.HasField("mapped_total") and word == "expanded":
            done, total = mapped_progress(task)
            step = max(1, total // 10)
            return f"{done - done % step}/{total}"
        # A full worker is the normal course; every other reason is worth a sentence.
        if word == "queued" and task.waiting_detail and task.waiting_reason != WAITING_REASON_SLOTS:
            return f"{word}: {task.waiting_detail}"
        if word in ("failed", "up_for_retry") and task.HasField("failure"):
            return f"{word}: {failure_text(task)}"
        return word


class ScreenView:
    """A table on the terminal that is drawn over itself, and stays when the run has ended."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        if self._live is None:
            self._live = Live(self, console=stderr_console(), refresh_per_second=10)
            self._live.start()
        else:
            self._live.refresh()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich__(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        if self._snapshot is None:
            return table
        run = self._snapshot.run
        word = enum_word(RunState.DESCRIPTOR, run.state) or ""
        for task in self._snapshot.tasks:
            table.add_row(*self._cells(task))
        title = Text.assemble((f"{run.dag_id}/{run.run_id}", "bold"), " ", (word, STATE_STYLES.get(word, "")))
        return Group(title, table)

    def _cells(self, task: TaskInstance) -> tuple[RenderableType, ...]:
        word = state_word(task)
        style = STATE_STYLES.get(word, "")
        active = word in ("running", "assigned", "expanded", "cancelling")
        mark: RenderableType = self._spinner if active else Text(MARKS.get(word, "·"), style=style)
        middle: RenderableType = Text(word, style=style)
        detail = task.waiting_detail if word in ("queued", "up_for_retry", "deferred") else ""
        if task.mapped and task.mapped_total:
            done, total = mapped_progress(task)
            bar = Table.grid(padding=(0, 1))
            failed = any(count.state == TASK_STATE_FAILED for count in task.mapped_counts)
            colour = STATE_STYLES["failed" if failed else "succeeded"]
            progress = ProgressBar(total=total, completed=done, width=24, complete_style="cyan", finished_style=colour)
            bar.add_row(progress, Text(f"{done}/{total}"))
            middle = bar
        if task.HasField("failure") and word in ("failed", "up_for_retry"):
            detail = failure_text(task)
        took = ""
        if task.HasField("start_time"):
            took = elapsed_text(task.start_time, task.end_time if task.HasField("end_time") else None)
        return mark, Text(task.task_id), middle, Text(took, style="dim"), Text(detail, style="dim")

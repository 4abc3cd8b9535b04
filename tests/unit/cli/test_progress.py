from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from crosswind.cli.progress import LineView, ScreenView, Snapshot, elapsed_text
from crosswind.control.v1 import states_pb2
from crosswind.control.v1.dag_runs_pb2 import DagRun
from crosswind.control.v1.task_instances_pb2 import TaskInstance
from crosswind.execution.v1.failure_pb2 import Failure


def snapshot(*tasks: TaskInstance, state: Any = "RUN_STATE_RUNNING") -> Snapshot:
    return Snapshot(run=DagRun(dag_id="flights", run_id="r1", state=state), tasks=tasks)


def mapped(done: int, total: int, *, failed: int = 0) -> TaskInstance:
    counts = {"TASK_STATE_SUCCEEDED": done, "TASK_STATE_FAILED": failed, "TASK_STATE_RUNNING": total - done - failed}
    return TaskInstance(
        task_id="stats",
        state="TASK_STATE_EXPANDED",
        mapped=True,
        mapped_total=total,
        mapped_counts=[states_pb2.TaskStateCount(state=state, count=count) for state, count in counts.items() if count],
    )


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was said, without the time."""
    return [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]


def test_lines_say_what_changed_and_only_that(capsys):
    view = LineView()
    waits = "No live worker offers the bundle `flights`."
    extract = TaskInstance(task_id="extract", state="TASK_STATE_QUEUED", waiting_detail=waits)
    view.show(snapshot(extract, TaskInstance(task_id="report", state="TASK_STATE_WAITING")))
    assert lines_of(capsys) == [f"extract queued: {waits}", "report waiting", "run flights/r1 running"]
    view.show(snapshot(extract, TaskInstance(task_id="report", state="TASK_STATE_WAITING")))
    assert lines_of(capsys) == []
    retry = TaskInstance(
        task_id="extract", state="TASK_STATE_UP_FOR_RETRY", failure=Failure(type="OSError", message="disk\nfull")
    )
    view.show(snapshot(retry))
    assert lines_of(capsys) == ["extract up_for_retry: OSError: disk full"]


def test_lines_of_a_mapped_task_come_in_tenths(capsys):
    view = LineView()
    for done in range(1000):
        view.show(snapshot(mapped(done, 1000, failed=1)))
    lines = [line for line in lines_of(capsys) if line.startswith("stats")]
    assert lines == [f"stats {done}/1000" for done in range(0, 1001, 100)]


def test_screen_draws_a_line_a_task_and_a_bar_for_a_mapped_one():
    view = ScreenView()
    start = Timestamp()
    start.FromDatetime(datetime.now(UTC) - timedelta(minutes=2))
    failed = TaskInstance(
        task_id="report", state="TASK_STATE_FAILED", failure=Failure(type="ValueError", message="no flights")
    )
    failed.start_time.CopyFrom(start)
    view._snapshot = snapshot(mapped(3, 8, failed=1), failed)
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(view)
    title, stats, report = capture.get().splitlines()
    assert "flights/r1" in title
    assert "running" in title
    assert "stats" in stats
    assert "━" in stats
    assert "4/8" in stats
    assert report.split()[:3] == ["✗", "report", "failed"]
    assert "2 min 00 s" in report
    assert "ValueError: no flights" in report


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3725, "1 h 02 min"), (-5, "0.0 s")]
)
def test_elapsed(seconds, text):
    start, end = Timestamp(seconds=1000), Timestamp()
    end.FromMicroseconds(int((1000 + seconds) * 1e6))
    assert elapsed_text(start, end) == text

"""What the end of a task's process means: pure decisions from how it ended to the attempt's outcome.

Sending the outcome belongs to `attempt.py`; mapping exceptions to outcomes happens in the task, see `execution.py`.
"""

from __future__ import annotations

from enum import Enum

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.execution.v1 import failure_pb2, lease_pb2, outcome_pb2
from crosswind.runtime.executor import TaskEnd


class Ending(Enum):
    """Why a worker ends an attempt before its time."""

    NONE = "it ended by itself"
    CANCEL = "it was cancelled"
    TIMEOUT = "it ran longer than its execution timeout"
    STOP = "the worker stops"
    LOST = "its lease is not valid any more"
    PARTITION = "the server could not be reached before its lease could expire, and its policy is to be killed then"

    @property
    def sentence(self) -> str:
        """Why, for people; without a full stop."""
        return self.value

    @property
    def is_immediate(self) -> bool:
        """Whether the task gets no time to clean up: another one may be running already."""
        return self in (Ending.LOST, Ending.PARTITION)


def judge(
    end: TaskEnd, ending: Ending, *, context: lease_pb2.TaskContext, killed: bool, stderr_tail: str
) -> outcome_pb2.Outcome | None:
    """Decides an attempt's outcome.

    Args:
        end: how its process ended.
        ending: why the worker ended it, if it did.
        context: of the task.
        killed: whether the worker killed it.
        stderr_tail: the last of its standard error, masked.

    Returns:
        The outcome. None: the attempt is not this worker's any more, or is to be given to another.
    """
    if ending.is_immediate:
        return None
    outcome = _outcome(end)
    if ending is Ending.CANCEL:
        return cancelled("killed" if killed else "terminated" if end.signal_name else "exited")
    if ending in (Ending.STOP, Ending.TIMEOUT) and outcome is not None and outcome.HasField("succeeded"):
        return outcome  # done before it could be ended
    if ending is Ending.STOP:
        return None
    if ending is Ending.TIMEOUT:
        limit = context.execution_timeout.seconds + context.execution_timeout.nanos / 1e9
        how = " and had to be killed" if killed else ""
        return _failed(
            "crosswind.ExecutionTimeout", f"The task ran longer than its execution timeout of {limit:g} s{how}."
        )
    if outcome is not None:
        return outcome
    if end.refusal is not None:
        kinds = {"VALUE_TOO_LARGE": "crosswind.ValueTooLarge", "TASK_NOT_FOUND": "crosswind.EntryPointMissing"}
        refused = _failed(kinds.get(end.refusal.reason, "crosswind.BundleBroken"), end.refusal.message)
        refused.failed.failure.retryable = False
        return refused
    if end.broken:
        outcome = bundle_broken(end.broken)
        _add_exit(outcome, end, stderr_tail)
        return outcome
    return _died(end, stderr_tail)


def cancelled(how: str) -> outcome_pb2.Outcome:
    """The outcome of a cancelled attempt.

    Args:
        how: "exited", "terminated" or "killed".
    """
    return outcome_pb2.Outcome(cancelled=outcome_pb2.Cancelled(how=how))


def bundle_broken(message: str) -> outcome_pb2.Outcome:
    """The outcome of an attempt whose code could not be started."""
    return _failed("crosswind.BundleBroken", message)


def _outcome(end: TaskEnd) -> outcome_pb2.Outcome | None:
    if end.response is None:
        return None
    response = bundle_service_pb2.RunTaskResponse()
    try:
        response.ParseFromString(end.response)
    except DecodeError:
        return None
    outcome = response.outcome
    # A newer bundle may end in a way that this worker does not know, and the server does. [VER-1]
    return outcome if outcome.WhichOneof("kind") or len(UnknownFieldSet(outcome)) else None


def _died(end: TaskEnd, stderr_tail: str) -> outcome_pb2.Outcome:
    if end.signal_name:
        what = f"The task's process was ended by {end.signal_name}"
        if end.signal_name == "SIGKILL":
            what += ", as the kernel does when memory runs out, or somebody by hand"
    elif end.exit_code is not None:
        what = f"The task's process exited with code {end.exit_code} before the task had ended"
    else:
        what = "The task's process ended before the task had"
    outcome = _failed("crosswind.ProcessDied", f"{what}.{' ' if end.detail else ''}{end.detail}")
    _add_exit(outcome, end, stderr_tail)
    return outcome


def _add_exit(outcome: outcome_pb2.Outcome, end: TaskEnd, stderr_tail: str) -> None:
    exit_info = failure_pb2.Failure.ProcessExit(signal=end.signal_name, stderr_tail=stderr_tail)
    if end.exit_code is not None:
        exit_info.code = end.exit_code
    outcome.failed.failure.exit.CopyFrom(exit_info)


def _failed(kind: str, message: str) -> outcome_pb2.Outcome:
    failure = failure_pb2.Failure(type=kind, message=message)
    return outcome_pb2.Outcome(failed=outcome_pb2.Failed(failure=failure))

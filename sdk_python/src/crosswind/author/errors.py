"""What authors raise and catch.

Here belong the exceptions of the package, and nothing that decides when they are raised.

    CrosswindError
    |-- DagError                 a DAG file is wrong; carries the file and line
    |   |-- DuplicateDag
    |   |-- DuplicateTask
    |   `-- DagCycle
    |-- NoTaskError              a call that needs a running task was made outside of one
    |-- VariableNotFound         also a KeyError
    |-- ConnectionNotFound       also a KeyError
    |-- XComNotFound             also a KeyError
    |-- UnsupportedValue         also a TypeError: a value that its codec cannot write
    |-- ValueTooLarge            a value is over the limit of what travels between tasks
    |-- UnreadableValue          also a ValueError: bytes that no codec here can read
    |-- Skip (SkipTask)          raised by a task: it chose to do nothing
    |-- TaskFailed               raised by a task: it failed, and the author knows more than the retry policy
    `-- Retry                    raised by a task: another try, after a while

`TaskCancelled` derives from BaseException, so that `except Exception` does not swallow it.
"""

from __future__ import annotations

from datetime import timedelta


class CrosswindError(Exception):
    """Base of what this package raises."""


class DagError(CrosswindError):
    """A DAG file is wrong.

    Args:
        message: one sentence that names the thing and the way out.
        file: the source, as Python names it; empty where unknown.
        line: the line in it, from 1; 0 where unknown.
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class DuplicateDag(DagError):
    """Two DAGs of a bundle have one id."""


class DuplicateTask(DagError):
    """Two tasks of a DAG have one id."""


class DagCycle(DagError):
    """Tasks of a DAG wait for each other."""


class NoTaskError(CrosswindError):
    """A call that needs a running task was made outside of one, such as while a DAG file was being read."""


class _NotFound(CrosswindError, KeyError):
    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put the sentence in quotes.
        return str(self.args[0])


class VariableNotFound(_NotFound):
    """There is no such variable, and no default was given."""


class ConnectionNotFound(_NotFound):
    """There is no such connection."""


class XComNotFound(_NotFound):
    """There is no such XCom, or no such item."""


class UnsupportedValue(CrosswindError, TypeError):
    """A value cannot be written by its codec; the message says where it stands and what to do."""


class UnreadableValue(CrosswindError, ValueError):
    """A value cannot be read: its encoding is unknown here, or its bytes are not what the encoding says."""


class ValueTooLarge(CrosswindError):
    """A value is over the limit of what travels between tasks; the message says by how much and what to do."""


class Skip(CrosswindError):
    """Raise it in a task that has nothing to do: the task is skipped, and with it what waits for its success."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)


SkipTask = Skip


class TaskFailed(CrosswindError):
    """Raise it in a task that failed, when you know more than its retry policy does.

    Args:
        message: what happened, in one sentence.
        retryable: False: another try cannot help, the task fails at once.
        retry_after: the least time before another try, as timedelta or seconds; overrides the policy's delay.
    """

    def __init__(
        self, message: str = "", *, retryable: bool = True, retry_after: timedelta | float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = _as_span(retry_after)


class Retry(CrosswindError):
    """Raise it in a task that wants another try, counted like any other.

    Args:
        message: why, in one sentence.
        after: the least time before that try, as timedelta or seconds. None: as the retry policy says.
    """

    def __init__(self, message: str = "", *, after: timedelta | float | None = None) -> None:
        super().__init__(message)
        self.after = _as_span(after)


class TaskCancelled(BaseException):
    """The attempt is being cancelled. Raised in the task's main thread; clean up and let it pass."""


def _as_span(value: timedelta | float | None) -> timedelta | None:
    span = value if value is None or isinstance(value, timedelta) else timedelta(seconds=value)
    if span is not None and span < timedelta(0):
        raise ValueError(f"a task cannot wait for a negative time: {value!r}")
    return span

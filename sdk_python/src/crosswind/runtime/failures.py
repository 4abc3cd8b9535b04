"""Exceptions of tasks as `Failure` messages.

Here belongs what an exception says: type, bases, message, frames, causes. What the outcome is, is `execution.py`'s.
"""

from __future__ import annotations

import linecache
import traceback
from datetime import timedelta
from types import TracebackType
from typing import Final

from crosswind.author.errors import Retry, TaskFailed
from crosswind.author.locations import is_ours
from crosswind.execution.v1.failure_pb2 import Failure

_MAX_MESSAGE_BYTES: Final = 16 * 1024
_MAX_FRAMES: Final = 200
_MAX_CAUSES: Final = 20
_MAX_CODE: Final = 500


def make_failure(error: BaseException) -> Failure:
    """What an exception says, its causes included. Never raises, whatever the exception does."""
    return _make(error, depth=0, seen=set())


def system_failure(kind: str, message: str, *, retryable: bool | None = None) -> Failure:
    """A failure that is the system's to name.

    Args:
        kind: such as `ValueTooLarge`; see docs/protocol.md, "Failures of the system".
        message: one sentence.
        retryable: False: another try cannot help. None: not said.
    """
    failure = Failure(type=f"crosswind.{kind}", message=_cut(message))
    if retryable is not None:
        failure.retryable = retryable
    return failure


def format_for_log(error: BaseException) -> str:
    """The traceback as Python prints it, from the author's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
    except Exception:
        return f"{_type_name(type(error))}: {_message(error)}"


def _make(error: BaseException, *, depth: int, seen: set[int]) -> Failure:
    seen.add(id(error))
    failure = Failure(
        type=_type_name(type(error)),
        base_types=[_type_name(base) for base in type(error).__mro__[1:] if issubclass(base, BaseException)],
        message=_cut(_message(error)),
        frames=_frames(error.__traceback__),
    )
    if isinstance(error, TaskFailed):
        failure.retryable = error.retryable
        _set_span(failure, error.retry_after)
    elif isinstance(error, Retry):
        failure.retryable = True
        _set_span(failure, error.after)
    cause = _cause(error)
    if cause is not None and depth + 1 < _MAX_CAUSES and id(cause) not in seen:
        failure.cause.CopyFrom(_make(cause, depth=depth + 1, seen=seen))
    return failure


def _set_span(failure: Failure, span: timedelta | None) -> None:
    if span is not None:
        failure.retry_after.FromTimedelta(span)


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__
    # Of a group the first member stands for all; the message says how many there are.
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None


def _frames(trace: TracebackType | None) -> list[Failure.Frame]:
    levels = [level for level in traceback.walk_tb(trace) if not is_ours(level[0].f_code.co_filename)]
    if len(levels) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        levels = levels[:half] + levels[-half:]
    frames: list[Failure.Frame] = []
    for frame, line in levels:
        code = frame.f_code
        text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
        module = frame.f_globals.get("__name__", "")
        frames.append(
            Failure.Frame(
                function=_clean(f"{module}.{code.co_qualname}" if module else code.co_qualname),
                file=_clean(code.co_filename),
                line=line,
                code=_clean(text[:_MAX_CODE]),
            )
        )
    return frames


def _type_name(kind: type) -> str:
    """As Python names it. Our own are plain, since `crosswind.` begins the failures of the system."""
    if kind.__module__ == "builtins" or kind.__module__.partition(".")[0] == "crosswind":
        return kind.__qualname__
    return _clean(f"{kind.__module__}.{kind.__qualname__}")


def _message(error: BaseException) -> str:
    try:
        return str(error) or f"It raised {_type_name(type(error))} and said no more"
    except Exception as second:
        return f"It raised {_type_name(type(error))}, whose message cannot be read: {_type_name(type(second))}"


def _clean(text: str) -> str:
    """Text that protobuf takes: without lone surrogates."""
    return text.encode(errors="replace").decode()


def _cut(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= _MAX_MESSAGE_BYTES:
        return data.decode()
    end = " ... (cut)"
    return data[: _MAX_MESSAGE_BYTES - len(end)].decode(errors="ignore") + end

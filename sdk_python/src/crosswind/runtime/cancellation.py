"""How a task's process learns that it is to end: SIGTERM raises `TaskCancelled` in its main thread.

Who sends the signal, and what follows it, belongs to `task_process.py`.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Final

from crosswind.author.errors import TaskCancelled

# Python runs handlers between its own instructions: of a signal that came a moment before a system call began to wait,
# or that another thread took, nobody knows until the call returns. This second one, which changes nothing where it is
# not expected, makes the call return.
NUDGE: Final = signal.SIGURG


class Interruption:
    """Raises `TaskCancelled` on SIGTERM, but never within `with interruption:`; there it waits until the block ends.

    Raised once: a task that cleans up is not interrupted again.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._waiting = False
        self._raised = False

    def install(self) -> None:
        """Takes over SIGTERM. Only a main thread can."""
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(NUDGE, lambda number, frame: None)

    def stop(self) -> None:
        """From here on SIGTERM changes nothing: the task's code has ended."""
        self._raised = True

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._shields += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            self._shields -= 1
            if self._waiting and self._shields == 0:
                self._raise()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._shields:
            self._waiting = True
        else:
            self._raise()

    def _raise(self) -> None:
        self._waiting = False
        if not self._raised:
            self._raised = True
            raise TaskCancelled("the task is being cancelled")

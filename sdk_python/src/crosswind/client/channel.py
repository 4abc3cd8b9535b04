"""What a client of `TaskService` needs from whatever carries its calls: one method.

Here belongs the seam alone. `frames.py` carries calls over a socket to the worker, `runtime/inline.py` in a process.
"""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """Carries unary calls as bytes. Several threads may call at once."""

    def call(self, method: str, request: bytes, timeout: float | None) -> bytes:
        """Sends one request and waits for its answer.

        Args:
            method: full name, such as `/crosswind.execution.v1.TaskService/GetVariable`.
            request: the serialized request.
            timeout: how long to wait, in seconds. None: as long as it takes.

        Returns:
            The serialized response.

        Raises:
            CallError: the call was refused, or the other side is gone.
        """

    def notify(self, method: str, notice: bytes) -> None:
        """Sends a message that is not answered. It is dropped where the other side is gone."""

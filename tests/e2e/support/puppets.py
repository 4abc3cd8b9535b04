"""Puppets: tasks that do what the test tells them, in any language that opens a Unix socket and reads JSON lines.

A task that performs connects to the stage, says in one line who it is (`dag`, `role`, `try`, `pid`, `value`), and then
obeys one order a line. Each order but the last is answered with one line. The orders are the methods of `Puppet`;
`dags` writes the tasks.
"""

import json
import os
import queue
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from tests.e2e.support.processes import PATIENCE


class Puppet:
    """One attempt of a task that waits for orders."""

    def __init__(self, connection: socket.socket, hello: dict[str, Any], stream: Any) -> None:
        self._connection = connection
        self._stream = stream
        self.dag_id: str = hello["dag"]
        self.role: str = hello["role"]
        self.try_number: int = hello["try"]
        self.pid: int = hello["pid"]
        self.value: Any = hello["value"]

    def __repr__(self) -> str:
        return f"<puppet {self.role} try {self.try_number} pid {self.pid}>"

    def order(self, do: str, **arguments: Any) -> Any:
        """Give an order and return its answer; an answer that is an error raises."""
        self._send(do, arguments)
        line = self._stream.readline()
        assert line, f"{self!r} ended instead of answering to {do}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def begin(self, do: str, **arguments: Any) -> None:
        """Give an order without waiting for its answer."""
        self._send(do, arguments)

    def succeed(self, value: Any = None) -> None:
        """Let it return a value; it is gone then."""
        self._send("return", {"value": value})
        self.close()

    def succeed_with_text(self, length: int, *, times: int | None = None) -> None:
        """Let it return a text of so many characters, or a list of so many such texts."""
        self._send("return_text", {"length": length, "times": times})
        self.close()

    def fail(self, message: str = "told to fail") -> None:
        """Let it raise an error."""
        self._send("fail", {"message": message})
        self.close()

    def exit(self, code: int) -> None:
        """Let its process end without an outcome."""
        self._send("exit", {"code": code})
        self.close()

    def kill9(self) -> None:
        """Kill its process."""
        os.kill(self.pid, signal.SIGKILL)
        self.close()

    def wait_gone(self, *, seconds: float = PATIENCE) -> None:
        """Wait until its process has let go of the stage, which only its end does."""
        self._connection.settimeout(seconds)
        assert self._stream.readline() == "", f"{self!r} answered where it should have ended"

    def close(self) -> None:
        """Let go of it."""
        self._stream.close()
        self._connection.close()

    def _send(self, do: str, arguments: dict[str, Any]) -> None:
        self._connection.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")


class Stage:
    """Where puppets arrive. A context manager; leaving it lets every waiting puppet fail."""

    def __init__(self) -> None:
        # A short path: the name of a Unix socket holds no more than 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="cw-stage-"))
        self.path = self._folder / "s"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(1024)
        self._arrivals: queue.Queue[Puppet] = queue.Queue()
        self._waiting: list[Puppet] = []
        self._met: list[Puppet] = []
        self._thread = threading.Thread(target=self._accept, name="stage", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enter(self, role: str | None = None, *, seconds: float = PATIENCE) -> Puppet:
        """Wait for the next puppet, or the next one of a role."""
        for index, puppet in enumerate(self._waiting):
            if role in (None, puppet.role):
                return self._waiting.pop(index)
        while True:
            try:
                puppet = self._arrivals.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"No puppet {role or ''} arrived within {seconds:g} s; {self._met} did.") from None
            if role in (None, puppet.role):
                return puppet
            self._waiting.append(puppet)

    def nobody_waits(self) -> bool:
        """Whether no puppet has arrived that the test did not meet."""
        return not self._waiting and self._arrivals.empty()

    @property
    def arrivals(self) -> list[tuple[str, int]]:
        """Role and try of all that ever arrived, in order: what really ran."""
        return [(puppet.role, puppet.try_number) for puppet in self._met]

    def close(self) -> None:
        """Close it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()
        for puppet in self._met:
            puppet.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            stream = connection.makefile("r")
            line = stream.readline()
            if not line:
                stream.close()
                connection.close()
                continue
            puppet = Puppet(connection, json.loads(line), stream)
            self._met.append(puppet)
            self._arrivals.put(puppet)

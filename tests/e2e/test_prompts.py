"""What the people's command asks for at a terminal: the answer to a question of a task."""

import contextlib
import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.processes import BIN, PATIENCE
from tests.e2e.support.workers import NO_WORKER

ASKING = """
dag asks { choice; several; form }
on choice awaiting_input subject="Which one?" body="Choose well." options=red,green times=1
on several awaiting_input subject="Which ones?" options=red,green,blue multiple times=1
on form awaiting_input subject="How much?" fields={"type":"object"} times=1
"""


class Terminal:
    """A command whose input and output are a terminal."""

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, wanted: str) -> None:
        """Wait until it has written a text."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"It did not write {wanted!r}: {self.text}"
            self._read(f"It ended without {wanted!r}")

    def _read(self, complaint: str) -> None:
        try:
            read = os.read(self._ours, 4096)
        except OSError:  # Linux says so when the other side is closed
            read = b""
        assert read, f"{complaint}: {self.text}"
        self.text += read.decode()

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{line}\n".encode())

    def end(self) -> int:
        """Wait for its end; returns its exit code."""
        with contextlib.suppress(AssertionError):
            while True:
                self._read("It has ended")
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        os.close(self._ours)


@contextlib.contextmanager
def answering(cluster: Cluster, request_id: str) -> Iterator[Terminal]:
    """Somebody at a terminal who answers a question."""
    terminal = Terminal([BIN / "crosswind", "inputs", "answer", request_id], cluster.server.folder)
    try:
        yield terminal
    finally:
        terminal.close()


@NO_WORKER
def test_a_person_at_a_terminal_is_asked_for_what_was_left_out(cluster):
    worker = cluster.start_scripted_worker(ASKING)
    run_id = cluster.control.trigger("asks")
    for task_id in ("choice", "several", "form"):
        worker.wait_for(f"^ended {task_id} awaiting_input")
    listed = cluster.command("inputs", "list", "asks", "--output", "json")
    ids = {one["task_id"]: one["input_request_id"] for one in json.loads(listed.stdout)}

    with answering(cluster, ids["choice"]) as terminal:
        terminal.read_until("Choose one of red, green")
        assert terminal.text.index("Which one?") < terminal.text.index("Choose well.")
        terminal.type("yellow")
        assert terminal.end() == 1
        assert "'yellow' is no option of the question; choose from 'red', 'green'." in terminal.text
    with answering(cluster, ids["choice"]) as terminal:
        terminal.read_until("Choose one of red, green")
        terminal.type("green")
        assert terminal.end() == 0
        assert f"Answered 'Which one?'; asks {run_id} choice goes on." in terminal.text
    with answering(cluster, ids["several"]) as terminal:
        terminal.read_until("Choose some of red, green, blue")
        terminal.type("red, blue")
        assert terminal.end() == 0
    with answering(cluster, ids["form"]) as terminal:
        terminal.read_until("The fields as a JSON object")
        assert 'Fields: {"type":"object"}' in terminal.text
        terminal.type("much")
        assert terminal.end() == 2
        assert "--fields is a JSON object" in terminal.text
    with answering(cluster, ids["form"]) as terminal:
        terminal.read_until("The fields as a JSON object")
        terminal.type('{"amount": 3}')
        assert terminal.end() == 0
    with answering(cluster, ids["form"]) as terminal:
        assert terminal.end() == 2
        assert "There is no open question" in terminal.text

    assert cluster.control.wait_run("asks", run_id) == "SUCCEEDED"
    answered = cluster.command("inputs", "list", "asks", "--state", "answered", "--output", "json")
    said = {one["task_id"]: one["answer"] for one in json.loads(answered.stdout)}
    assert said["choice"]["chosen_options"] == ["green"]
    assert said["several"]["chosen_options"] == ["red", "blue"]
    assert said["form"]["fields"] == {"amount": 3}

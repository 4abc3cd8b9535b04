"""Outcomes that the server has not acknowledged, kept on disk. [FIN-1]

Here belongs keeping them. Sending them belongs to `delivery.py`.

An outcome is written before it is first sent, so that it survives the end of the worker's process. A rename is enough
for that. It is not forced onto the disk unless `sync` is set: a loss of power ends the worker for longer than a lease,
so that the server has given the attempt up by the time the machine is back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from crosswind.execution.v1 import worker_service_pb2
from crosswind.runtime.state_folder import replace_file


class OutcomeStore:
    """The outcomes of one state folder.

    Args:
        folder: the state folder. None: outcomes are kept in memory.
        sync: force each onto the disk.
        warn: takes one sentence when the disk refuses an outcome, which is then kept in memory.
    """

    def __init__(self, folder: Path | None, *, sync: bool, warn: Callable[[str], None]) -> None:
        self._folder = None if folder is None else folder / "outcomes"
        self._sync = sync
        self._warn = warn
        self._on_disk: set[str] = set()
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)

    def load(self) -> list[worker_service_pb2.FinishAttemptRequest]:
        """Reads what an earlier worker kept. A file that cannot be read is set aside and warned of."""
        if self._folder is None:
            return []
        found = []
        for path in sorted(self._folder.glob("*.finish")):
            request = worker_service_pb2.FinishAttemptRequest()
            try:
                request.ParseFromString(path.read_bytes())
                if not request.outcome_id or path.stem != request.attempt.attempt_id:
                    raise ValueError("it names no outcome of this attempt")
            except (OSError, ValueError, DecodeError) as error:
                self._warn(f"The kept outcome {path} cannot be read and is set aside: {error}.")
                path.rename(path.with_suffix(".unreadable"))
                continue
            self._on_disk.add(path.stem)
            found.append(request)
        return found

    def keep(self, request: worker_service_pb2.FinishAttemptRequest) -> None:
        """Keeps an outcome until `forget`. Where the disk does not take it, the caller's memory is all there is."""
        if self._folder is None:
            return
        attempt_id = request.attempt.attempt_id
        try:
            replace_file(self._path(attempt_id), request.SerializeToString(), sync=self._sync)
        except OSError as error:
            self._warn(
                f"The outcome of attempt {attempt_id} could not be written to {self._folder} ({error.strerror}); it is "
                f"kept in memory and lost if this worker ends before the server takes it."
            )
            return
        self._on_disk.add(attempt_id)

    def forget(self, attempt_id: str) -> None:
        """Deletes an outcome that the server has acknowledged or refused."""
        if attempt_id in self._on_disk:
            self._on_disk.discard(attempt_id)
            self._path(attempt_id).unlink(missing_ok=True)

    def _path(self, attempt_id: str) -> Path:
        assert self._folder is not None
        # The id is the server's; it becomes a file name only as one.
        name = "".join(letter for letter in attempt_id if letter.isalnum() or letter in "-_")
        return self._folder / f"{name}.finish"

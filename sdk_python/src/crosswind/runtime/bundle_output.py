"""What a bundle's process writes beside its tasks' logs: lines for the bundle's log, and the last ones for failures.

Where one task has the process to itself, the lines are its own. A task's own records belong to `attempt_log.py`;
reading the streams to `guarded_process.py` and `plugin_stdio.py`.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Final

from crosswind.execution.v1 import logs_pb2
from crosswind.runtime.attempt_log import CUT, MESSAGE_CHARACTERS, STDERR_TAIL_CHARACTERS
from crosswind.runtime.executor import TaskHost
from crosswind.runtime.masking import Masker

_log = logging.getLogger("crosswind.bundle")
_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_SOURCES: Final = {False: logs_pb2.LogRecord.SOURCE_STDOUT, True: logs_pb2.LogRecord.SOURCE_STDERR}
# With which go-plugin's own messages on standard error begin.
_LIBRARY_LINE: Final = '{"@level":"'


class BundleOutput:
    """The output of one process.

    Args:
        bundle: its bundle's name.
        only_host: of the only task in the process. None: there are many.
    """

    def __init__(self, bundle: str, only_host: TaskHost | None = None) -> None:
        self.masker = Masker()
        self._bundle = bundle
        self._only_host = only_host
        if only_host is not None:
            only_host.share_secrets(self.masker)
        self._tail: deque[str] = deque()
        self._tail_characters = 0
        self._streams: list[OutputLines] = []

    def stream(self, *, is_error: bool) -> OutputLines:
        """Makes a stream of lines: every source of bytes needs one of its own."""
        lines = OutputLines(self, is_error=is_error)
        self._streams.append(lines)
        return lines

    def end(self) -> None:
        """Takes note that nothing more is written: lines without an end are lines."""
        for lines in self._streams:
            lines.end()

    def tail(self) -> str:
        """The last lines of standard error, masked with all that is a secret now."""
        return self.masker.mask("\n".join(self._tail))[-STDERR_TAIL_CHARACTERS:]

    def add(self, line: str, *, is_error: bool, cut: bool) -> None:
        """Takes a line."""
        text = self.masker.mask_cut(line) if cut else self.masker.mask(line)
        if cut or len(text) > MESSAGE_CHARACTERS:
            text = text[: MESSAGE_CHARACTERS - len(CUT)] + CUT
        level, text = _read_library_line(text) if is_error else (logging.INFO, text)
        if self._only_host is not None and level >= logging.INFO:
            self._only_host.write_output(_SOURCES[is_error], text.encode() + b"\n")
        else:
            _log.log(level, "%s: %s", self._bundle, text)
        if is_error and level >= logging.INFO:
            self._tail.append(text)
            self._tail_characters += len(text) + 1
            while self._tail_characters - len(self._tail[0]) - 1 > STDERR_TAIL_CHARACTERS:
                self._tail_characters -= len(self._tail.popleft()) + 1


class OutputLines:
    """Lines out of bytes that are cut anywhere. Made by `BundleOutput.stream`."""

    def __init__(self, output: BundleOutput, *, is_error: bool) -> None:
        self._output = output
        self._is_error = is_error
        self._pending = bytearray()
        self._skipping = False

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            if not self._skipping:
                self._pending += part
                self._add(cut=False)
            self._pending.clear()
            self._skipping = False
        if not self._skipping:
            self._pending += rest
            if len(self._pending) > 2 * MESSAGE_CHARACTERS:
                self._add(cut=True)
                self._pending.clear()
                self._skipping = True

    def end(self) -> None:
        """Takes note that there are no more."""
        if self._pending:
            self._add(cut=False)
            self._pending.clear()

    def _add(self, *, cut: bool) -> None:
        text = self._pending.decode(errors="replace").removesuffix("\r")
        self._output.add(text, is_error=self._is_error, cut=cut)


def _read_library_line(line: str) -> tuple[int, str]:
    """The level and text of a line of standard error; those of go-plugin's own messages, which are JSON, in words."""
    if line.startswith(_LIBRARY_LINE):
        try:
            entry = json.loads(line)
            return _LEVELS[entry["@level"]], str(entry["@message"])
        except (ValueError, KeyError, TypeError):
            pass
    return logging.INFO, line

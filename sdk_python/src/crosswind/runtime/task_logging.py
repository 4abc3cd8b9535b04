"""Python's `logging` in a task's process: records go to the worker as structured notices.

What the worker does with them (masking, numbering, shipping) belongs to `attempt_log.py`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

from crosswind.bundle.v1 import bundle_service_pb2
from crosswind.client.channel import Channel
from crosswind.execution.v1 import logs_pb2

WRITE_LOGS: Final = "/crosswind.bundle.v1.HostService/WriteLogs"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_LEVELS: Final = (
    (logging.CRITICAL, logs_pb2.LogRecord.LEVEL_CRITICAL),
    (logging.ERROR, logs_pb2.LogRecord.LEVEL_ERROR),
    (logging.WARNING, logs_pb2.LogRecord.LEVEL_WARNING),
    (logging.INFO, logs_pb2.LogRecord.LEVEL_INFO),
)


class TaskLogHandler(logging.Handler):
    """Sends each record to the worker at once, so that it is there even if the process is killed next.

    Args:
        channel: to the worker. None: records are dropped until `connect`.
    """

    def __init__(self, channel: Channel | None = None) -> None:
        super().__init__()
        self._channel = channel

    def connect(self, channel: Channel) -> None:
        """Sends from here on."""
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record; one that cannot be written is reported as `logging` reports such things."""
        if self._channel is None:
            return
        try:
            request = bundle_service_pb2.WriteLogsRequest()
            fill_record(request.records.add(), record, self.format(record))
            self._channel.notify(WRITE_LOGS, request.SerializeToString())
        except Exception:
            self.handleError(record)


def fill_record(message: logs_pb2.LogRecord, record: logging.LogRecord, text: str) -> None:
    """Writes a record of `logging` into one of the protocol.

    Args:
        message: to be filled.
        record: where level, logger, time and attributes come from.
        text: the formatted message.
    """
    message.time.FromNanoseconds(int(record.created * 1e9))
    message.level = next((level for least, level in _LEVELS if record.levelno >= least), logs_pb2.LogRecord.LEVEL_DEBUG)
    message.logger = record.name
    # Surrogates, as from a file name that is not UTF-8, do not fit into protobuf.
    message.message = text.encode(errors="replace").decode()
    message.source = logs_pb2.LogRecord.SOURCE_TASK
    extras = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if extras:
        message.attributes_json = json.dumps(extras, default=str, sort_keys=True)


def install() -> TaskLogHandler:
    """Makes the root logger give what it gets to a new handler, from INFO on unless the bundle's code chose a level."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        # What a DAG file configured for a terminal would come a second time, as raw output.
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
            root.removeHandler(handler)
    handler = TaskLogHandler()
    root.addHandler(handler)
    if root.level in (logging.NOTSET, logging.WARNING):
        root.setLevel(logging.INFO)
    return handler

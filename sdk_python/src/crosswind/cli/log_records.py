"""Records of logs as the commands print them, whatever logged them: a task, or a workload beside tasks."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from crosswind.cli.output import Output, note, print_json_line, print_line
from crosswind.cli.rows import enum_word, iso_time, to_object
from crosswind.client.control_client import ControlClient
from crosswind.control.v1.logs_pb2 import NumberedLogRecord, ReadLogsRequest, ReadLogsResponse
from crosswind.execution.v1.logs_pb2 import LogRecord


def read_pages(client: ControlClient, request: ReadLogsRequest) -> Iterator[ReadLogsResponse]:
    """What is there now of the log that a request names; afterwards the request names the attempt."""
    while True:
        page = client.call(client.logs.ReadLogs, request)
        yield page
        if page.complete or not page.records:
            return
        request.attempt_id, request.from_sequence = page.attempt_id, page.next_sequence


def print_log(pages: Iterable[ReadLogsResponse], *, output: Output) -> None:
    """Prints records as they come, as JSON one object a line; in the end how many were dropped."""
    dropped: dict[str, int] = {}
    for page in pages:
        for numbered in page.records:
            if output is Output.JSON:
                print_json_line(record_row(numbered))
            else:
                _print_record(numbered)
        dropped[page.attempt_id] = page.dropped_count
    if lost := sum(dropped.values()):
        note(f"{lost} records of this log were dropped, because they came faster than they could be stored.")


def record_row(numbered: NumberedLogRecord) -> dict[str, Any]:
    """A log record as an object; its attributes decoded."""
    row = to_object(numbered.record)
    attributes = row.pop("attributes_json")
    row["attributes"] = json.loads(attributes) if attributes else {}
    return {"sequence": numbered.sequence, **row, "dropped_before": numbered.dropped_before}


def _print_record(numbered: NumberedLogRecord) -> None:
    record = numbered.record
    if numbered.dropped_before:
        print_line(f"... {numbered.dropped_before} records were dropped here ...")
    level = (enum_word(LogRecord.Level.DESCRIPTOR, record.level) or "info").upper()
    source = enum_word(LogRecord.Source.DESCRIPTOR, record.source) or "task"
    origin = record.logger or source
    attributes = f" {record.attributes_json}" if record.attributes_json not in ("", "{}") else ""
    print_line(f"{iso_time(record.time)} {level:<7} {origin}: {record.message}{attributes}")

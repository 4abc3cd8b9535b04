from crosswind.execution.v1 import logs_pb2 as _logs_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReadLogsRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "try_number", "attempt_id", "from_sequence", "last_records", "page_size", "wait", "workload_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    attempt_id: str
    from_sequence: int
    last_records: int
    page_size: int
    wait: _duration_pb2.Duration
    workload_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., try_number: _Optional[int] = ..., attempt_id: _Optional[str] = ..., from_sequence: _Optional[int] = ..., last_records: _Optional[int] = ..., page_size: _Optional[int] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., workload_id: _Optional[str] = ...) -> None: ...

class ReadLogsResponse(_message.Message):
    __slots__ = ("attempt_id", "try_number", "records", "next_sequence", "complete", "dropped_count")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    try_number: int
    records: _containers.RepeatedCompositeFieldContainer[NumberedLogRecord]
    next_sequence: int
    complete: bool
    dropped_count: int
    def __init__(self, attempt_id: _Optional[str] = ..., try_number: _Optional[int] = ..., records: _Optional[_Iterable[_Union[NumberedLogRecord, _Mapping]]] = ..., next_sequence: _Optional[int] = ..., complete: bool = ..., dropped_count: _Optional[int] = ...) -> None: ...

class NumberedLogRecord(_message.Message):
    __slots__ = ("sequence", "record", "dropped_before")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    record: _logs_pb2.LogRecord
    dropped_before: int
    def __init__(self, sequence: _Optional[int] = ..., record: _Optional[_Union[_logs_pb2.LogRecord, _Mapping]] = ..., dropped_before: _Optional[int] = ...) -> None: ...

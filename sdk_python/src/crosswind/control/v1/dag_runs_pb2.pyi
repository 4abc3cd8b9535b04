from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DagRun(_message.Message):
    __slots__ = ("dag_id", "run_id", "type", "state", "dag_version_id", "conf", "logical_time", "data_interval_start_time", "data_interval_end_time", "queued_time", "start_time", "end_time", "note", "triggered_by", "task_counts", "revision", "bundle", "bundle_version", "backfill_id", "partition_key", "deadline_time", "deadline_missed", "waiting_reason", "waiting_detail")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_END_TIME_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_BY_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MISSED_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    WAITING_DETAIL_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    type: _states_pb2.RunType
    state: _states_pb2.RunState
    dag_version_id: str
    conf: _value_pb2.Payload
    logical_time: _timestamp_pb2.Timestamp
    data_interval_start_time: _timestamp_pb2.Timestamp
    data_interval_end_time: _timestamp_pb2.Timestamp
    queued_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    note: str
    triggered_by: str
    task_counts: _containers.RepeatedCompositeFieldContainer[_states_pb2.TaskStateCount]
    revision: int
    bundle: str
    bundle_version: str
    backfill_id: str
    partition_key: str
    deadline_time: _timestamp_pb2.Timestamp
    deadline_missed: bool
    waiting_reason: _states_pb2.WaitingReason
    waiting_detail: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., type: _Optional[_Union[_states_pb2.RunType, str]] = ..., state: _Optional[_Union[_states_pb2.RunState, str]] = ..., dag_version_id: _Optional[str] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., queued_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ..., triggered_by: _Optional[str] = ..., task_counts: _Optional[_Iterable[_Union[_states_pb2.TaskStateCount, _Mapping]]] = ..., revision: _Optional[int] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., backfill_id: _Optional[str] = ..., partition_key: _Optional[str] = ..., deadline_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., deadline_missed: bool = ..., waiting_reason: _Optional[_Union[_states_pb2.WaitingReason, str]] = ..., waiting_detail: _Optional[str] = ...) -> None: ...

class TriggerDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "conf", "logical_time", "note", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    conf: _value_pb2.Payload
    logical_time: _timestamp_pb2.Timestamp
    note: str
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class TriggerDagRunResponse(_message.Message):
    __slots__ = ("dag_run",)
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ...) -> None: ...

class ListDagRunsRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "states", "types", "min_queued_time", "max_queued_time", "page_size", "page_token", "backfill_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    MIN_QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    states: _containers.RepeatedScalarFieldContainer[_states_pb2.RunState]
    types: _containers.RepeatedScalarFieldContainer[_states_pb2.RunType]
    min_queued_time: _timestamp_pb2.Timestamp
    max_queued_time: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    backfill_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_states_pb2.RunState, str]]] = ..., types: _Optional[_Iterable[_Union[_states_pb2.RunType, str]]] = ..., min_queued_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., max_queued_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., backfill_id: _Optional[str] = ...) -> None: ...

class ListDagRunsResponse(_message.Message):
    __slots__ = ("dag_runs", "next_page_token")
    DAG_RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_runs: _containers.RepeatedCompositeFieldContainer[DagRun]
    next_page_token: str
    def __init__(self, dag_runs: _Optional[_Iterable[_Union[DagRun, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "wait", "known_revision")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_REVISION_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    wait: _duration_pb2.Duration
    known_revision: int
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., known_revision: _Optional[int] = ...) -> None: ...

class GetDagRunResponse(_message.Message):
    __slots__ = ("dag_run",)
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ...) -> None: ...

class CancelDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelDagRunResponse(_message.Message):
    __slots__ = ("dag_run",)
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ...) -> None: ...

class ClearDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "only_failed", "use_current_version", "dry_run", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ONLY_FAILED_FIELD_NUMBER: _ClassVar[int]
    USE_CURRENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    only_failed: bool
    use_current_version: bool
    dry_run: bool
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., only_failed: bool = ..., use_current_version: bool = ..., dry_run: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class ClearDagRunResponse(_message.Message):
    __slots__ = ("dag_run", "cleared_count")
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    CLEARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    cleared_count: int
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ..., cleared_count: _Optional[int] = ...) -> None: ...

class SetDagRunStateRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "state", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    state: _states_pb2.RunState
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., state: _Optional[_Union[_states_pb2.RunState, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetDagRunStateResponse(_message.Message):
    __slots__ = ("dag_run",)
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ...) -> None: ...

class UpdateDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "note", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    note: str
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., note: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateDagRunResponse(_message.Message):
    __slots__ = ("dag_run",)
    DAG_RUN_FIELD_NUMBER: _ClassVar[int]
    dag_run: DagRun
    def __init__(self, dag_run: _Optional[_Union[DagRun, _Mapping]] = ...) -> None: ...

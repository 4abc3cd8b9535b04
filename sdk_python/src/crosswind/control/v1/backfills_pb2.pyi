from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackfillState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKFILL_STATE_UNSPECIFIED: _ClassVar[BackfillState]
    BACKFILL_STATE_RUNNING: _ClassVar[BackfillState]
    BACKFILL_STATE_CANCELLING: _ClassVar[BackfillState]
    BACKFILL_STATE_SUCCEEDED: _ClassVar[BackfillState]
    BACKFILL_STATE_FAILED: _ClassVar[BackfillState]
    BACKFILL_STATE_CANCELLED: _ClassVar[BackfillState]

class ReprocessPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPROCESS_POLICY_UNSPECIFIED: _ClassVar[ReprocessPolicy]
    REPROCESS_POLICY_NONE: _ClassVar[ReprocessPolicy]
    REPROCESS_POLICY_FAILED: _ClassVar[ReprocessPolicy]
    REPROCESS_POLICY_ENDED: _ClassVar[ReprocessPolicy]
BACKFILL_STATE_UNSPECIFIED: BackfillState
BACKFILL_STATE_RUNNING: BackfillState
BACKFILL_STATE_CANCELLING: BackfillState
BACKFILL_STATE_SUCCEEDED: BackfillState
BACKFILL_STATE_FAILED: BackfillState
BACKFILL_STATE_CANCELLED: BackfillState
REPROCESS_POLICY_UNSPECIFIED: ReprocessPolicy
REPROCESS_POLICY_NONE: ReprocessPolicy
REPROCESS_POLICY_FAILED: ReprocessPolicy
REPROCESS_POLICY_ENDED: ReprocessPolicy

class Backfill(_message.Message):
    __slots__ = ("backfill_id", "dag_id", "state", "start_time", "end_time", "conf", "reverse", "reprocess_policy", "max_active_runs", "total_count", "created_count", "ended_count", "skipped_count", "created_by", "create_time", "finish_time")
    BACKFILL_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    REPROCESS_POLICY_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    backfill_id: str
    dag_id: str
    state: BackfillState
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    conf: _value_pb2.Payload
    reverse: bool
    reprocess_policy: ReprocessPolicy
    max_active_runs: int
    total_count: int
    created_count: int
    ended_count: int
    skipped_count: int
    created_by: str
    create_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    def __init__(self, backfill_id: _Optional[str] = ..., dag_id: _Optional[str] = ..., state: _Optional[_Union[BackfillState, str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., reverse: bool = ..., reprocess_policy: _Optional[_Union[ReprocessPolicy, str]] = ..., max_active_runs: _Optional[int] = ..., total_count: _Optional[int] = ..., created_count: _Optional[int] = ..., ended_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., created_by: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateBackfillRequest(_message.Message):
    __slots__ = ("dag_id", "start_time", "end_time", "conf", "reverse", "reprocess_policy", "max_active_runs", "dry_run", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    REPROCESS_POLICY_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    conf: _value_pb2.Payload
    reverse: bool
    reprocess_policy: ReprocessPolicy
    max_active_runs: int
    dry_run: bool
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., reverse: bool = ..., reprocess_policy: _Optional[_Union[ReprocessPolicy, str]] = ..., max_active_runs: _Optional[int] = ..., dry_run: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateBackfillResponse(_message.Message):
    __slots__ = ("backfill", "planned_runs")
    class PlannedRun(_message.Message):
        __slots__ = ("logical_time", "data_interval_start_time", "data_interval_end_time", "existing_run_id")
        LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
        DATA_INTERVAL_START_TIME_FIELD_NUMBER: _ClassVar[int]
        DATA_INTERVAL_END_TIME_FIELD_NUMBER: _ClassVar[int]
        EXISTING_RUN_ID_FIELD_NUMBER: _ClassVar[int]
        logical_time: _timestamp_pb2.Timestamp
        data_interval_start_time: _timestamp_pb2.Timestamp
        data_interval_end_time: _timestamp_pb2.Timestamp
        existing_run_id: str
        def __init__(self, logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., existing_run_id: _Optional[str] = ...) -> None: ...
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    PLANNED_RUNS_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    planned_runs: _containers.RepeatedCompositeFieldContainer[CreateBackfillResponse.PlannedRun]
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ..., planned_runs: _Optional[_Iterable[_Union[CreateBackfillResponse.PlannedRun, _Mapping]]] = ...) -> None: ...

class ListBackfillsRequest(_message.Message):
    __slots__ = ("dag_id", "states", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    states: _containers.RepeatedScalarFieldContainer[BackfillState]
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[BackfillState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBackfillsResponse(_message.Message):
    __slots__ = ("backfills", "next_page_token")
    BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    backfills: _containers.RepeatedCompositeFieldContainer[Backfill]
    next_page_token: str
    def __init__(self, backfills: _Optional[_Iterable[_Union[Backfill, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetBackfillRequest(_message.Message):
    __slots__ = ("backfill_id",)
    BACKFILL_ID_FIELD_NUMBER: _ClassVar[int]
    backfill_id: str
    def __init__(self, backfill_id: _Optional[str] = ...) -> None: ...

class GetBackfillResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

class CancelBackfillRequest(_message.Message):
    __slots__ = ("backfill_id", "request_id")
    BACKFILL_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    backfill_id: str
    request_id: str
    def __init__(self, backfill_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelBackfillResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.control.v1 import task_instances_pb2 as _task_instances_pb2
from crosswind.execution.v1 import failure_pb2 as _failure_pb2
from crosswind.manifest.v1 import dag_pb2 as _dag_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkloadKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKLOAD_KIND_UNSPECIFIED: _ClassVar[WorkloadKind]
    WORKLOAD_KIND_TRIGGER: _ClassVar[WorkloadKind]
    WORKLOAD_KIND_CALLBACK: _ClassVar[WorkloadKind]
    WORKLOAD_KIND_TIMETABLE: _ClassVar[WorkloadKind]
WORKLOAD_KIND_UNSPECIFIED: WorkloadKind
WORKLOAD_KIND_TRIGGER: WorkloadKind
WORKLOAD_KIND_CALLBACK: WorkloadKind
WORKLOAD_KIND_TIMETABLE: WorkloadKind

class Workload(_message.Message):
    __slots__ = ("workload_id", "kind", "dag_id", "run_id", "task_id", "map_index", "callback_event", "entry_point", "state", "waiting_reason", "waiting_detail", "try_number", "max_tries", "lost_count", "queue", "queued_time", "start_time", "end_time", "not_before_time", "worker", "language", "bundle", "bundle_version", "failure")
    WORKLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_EVENT_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    WAITING_DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MAX_TRIES_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    workload_id: str
    kind: WorkloadKind
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    callback_event: _dag_pb2.Callback.Event
    entry_point: str
    state: _states_pb2.TaskState
    waiting_reason: _states_pb2.WaitingReason
    waiting_detail: str
    try_number: int
    max_tries: int
    lost_count: int
    queue: str
    queued_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    not_before_time: _timestamp_pb2.Timestamp
    worker: str
    language: str
    bundle: str
    bundle_version: str
    failure: _failure_pb2.Failure
    def __init__(self, workload_id: _Optional[str] = ..., kind: _Optional[_Union[WorkloadKind, str]] = ..., dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., callback_event: _Optional[_Union[_dag_pb2.Callback.Event, str]] = ..., entry_point: _Optional[str] = ..., state: _Optional[_Union[_states_pb2.TaskState, str]] = ..., waiting_reason: _Optional[_Union[_states_pb2.WaitingReason, str]] = ..., waiting_detail: _Optional[str] = ..., try_number: _Optional[int] = ..., max_tries: _Optional[int] = ..., lost_count: _Optional[int] = ..., queue: _Optional[str] = ..., queued_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., not_before_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., worker: _Optional[str] = ..., language: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class ListWorkloadsRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "kinds", "states", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    kinds: _containers.RepeatedScalarFieldContainer[WorkloadKind]
    states: _containers.RepeatedScalarFieldContainer[_states_pb2.TaskState]
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[WorkloadKind, str]]] = ..., states: _Optional[_Iterable[_Union[_states_pb2.TaskState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkloadsResponse(_message.Message):
    __slots__ = ("workloads", "next_page_token")
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workloads: _containers.RepeatedCompositeFieldContainer[Workload]
    next_page_token: str
    def __init__(self, workloads: _Optional[_Iterable[_Union[Workload, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetWorkloadRequest(_message.Message):
    __slots__ = ("workload_id",)
    WORKLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    workload_id: str
    def __init__(self, workload_id: _Optional[str] = ...) -> None: ...

class GetWorkloadResponse(_message.Message):
    __slots__ = ("workload",)
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    workload: Workload
    def __init__(self, workload: _Optional[_Union[Workload, _Mapping]] = ...) -> None: ...

class ListWorkloadAttemptsRequest(_message.Message):
    __slots__ = ("workload_id", "page_size", "page_token")
    WORKLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workload_id: str
    page_size: int
    page_token: str
    def __init__(self, workload_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkloadAttemptsResponse(_message.Message):
    __slots__ = ("attempts", "next_page_token")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[_task_instances_pb2.Attempt]
    next_page_token: str
    def __init__(self, attempts: _Optional[_Iterable[_Union[_task_instances_pb2.Attempt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

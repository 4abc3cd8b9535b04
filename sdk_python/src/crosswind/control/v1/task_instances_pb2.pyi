from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.execution.v1 import failure_pb2 as _failure_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskInstance(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "try_number", "max_tries", "state", "waiting_reason", "waiting_detail", "queue", "pool", "pool_slots", "priority", "queued_time", "start_time", "end_time", "not_before_time", "worker", "language", "bundle", "bundle_version", "failure", "mapped_counts", "mapped_total", "entry_point", "group_id", "upstream_task_ids", "mapped", "lost_count", "map_label", "description")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MAX_TRIES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    WAITING_DETAIL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    POOL_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    MAPPED_COUNTS_FIELD_NUMBER: _ClassVar[int]
    MAPPED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    MAPPED_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAP_LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    state: _states_pb2.TaskState
    waiting_reason: _states_pb2.WaitingReason
    waiting_detail: str
    queue: str
    pool: str
    pool_slots: int
    priority: int
    queued_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    not_before_time: _timestamp_pb2.Timestamp
    worker: str
    language: str
    bundle: str
    bundle_version: str
    failure: _failure_pb2.Failure
    mapped_counts: _containers.RepeatedCompositeFieldContainer[_states_pb2.TaskStateCount]
    mapped_total: int
    entry_point: str
    group_id: str
    upstream_task_ids: _containers.RepeatedScalarFieldContainer[str]
    mapped: bool
    lost_count: int
    map_label: str
    description: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., try_number: _Optional[int] = ..., max_tries: _Optional[int] = ..., state: _Optional[_Union[_states_pb2.TaskState, str]] = ..., waiting_reason: _Optional[_Union[_states_pb2.WaitingReason, str]] = ..., waiting_detail: _Optional[str] = ..., queue: _Optional[str] = ..., pool: _Optional[str] = ..., pool_slots: _Optional[int] = ..., priority: _Optional[int] = ..., queued_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., not_before_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., worker: _Optional[str] = ..., language: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., mapped_counts: _Optional[_Iterable[_Union[_states_pb2.TaskStateCount, _Mapping]]] = ..., mapped_total: _Optional[int] = ..., entry_point: _Optional[str] = ..., group_id: _Optional[str] = ..., upstream_task_ids: _Optional[_Iterable[str]] = ..., mapped: bool = ..., lost_count: _Optional[int] = ..., map_label: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt_id", "try_number", "state", "worker", "worker_instance_id", "language", "bundle", "bundle_version", "assign_time", "start_time", "end_time", "failure", "log_record_count", "log_dropped_count", "delivery_count", "cpu_time", "max_memory_bytes")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    WORKER_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    LOG_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOG_DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    try_number: int
    state: _states_pb2.AttemptState
    worker: str
    worker_instance_id: str
    language: str
    bundle: str
    bundle_version: str
    assign_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    log_record_count: int
    log_dropped_count: int
    delivery_count: int
    cpu_time: _duration_pb2.Duration
    max_memory_bytes: int
    def __init__(self, attempt_id: _Optional[str] = ..., try_number: _Optional[int] = ..., state: _Optional[_Union[_states_pb2.AttemptState, str]] = ..., worker: _Optional[str] = ..., worker_instance_id: _Optional[str] = ..., language: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., assign_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., log_record_count: _Optional[int] = ..., log_dropped_count: _Optional[int] = ..., delivery_count: _Optional[int] = ..., cpu_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_memory_bytes: _Optional[int] = ...) -> None: ...

class ListTaskInstancesRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "states", "task_id", "exclude_mapped", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MAPPED_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    states: _containers.RepeatedScalarFieldContainer[_states_pb2.TaskState]
    task_id: str
    exclude_mapped: bool
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_states_pb2.TaskState, str]]] = ..., task_id: _Optional[str] = ..., exclude_mapped: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTaskInstancesResponse(_message.Message):
    __slots__ = ("task_instances", "next_page_token")
    TASK_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    task_instances: _containers.RepeatedCompositeFieldContainer[TaskInstance]
    next_page_token: str
    def __init__(self, task_instances: _Optional[_Iterable[_Union[TaskInstance, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetTaskInstanceRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ...) -> None: ...

class GetTaskInstanceResponse(_message.Message):
    __slots__ = ("task_instance",)
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    task_instance: TaskInstance
    def __init__(self, task_instance: _Optional[_Union[TaskInstance, _Mapping]] = ...) -> None: ...

class ListAttemptsRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAttemptsResponse(_message.Message):
    __slots__ = ("attempts", "next_page_token")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    next_page_token: str
    def __init__(self, attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ClearTaskInstancesRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "selections", "include_upstream", "include_downstream", "only_failed", "dry_run", "request_id")
    class TaskSelection(_message.Message):
        __slots__ = ("task_id", "map_index")
        TASK_ID_FIELD_NUMBER: _ClassVar[int]
        MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
        task_id: str
        map_index: int
        def __init__(self, task_id: _Optional[str] = ..., map_index: _Optional[int] = ...) -> None: ...
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SELECTIONS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_DOWNSTREAM_FIELD_NUMBER: _ClassVar[int]
    ONLY_FAILED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    selections: _containers.RepeatedCompositeFieldContainer[ClearTaskInstancesRequest.TaskSelection]
    include_upstream: bool
    include_downstream: bool
    only_failed: bool
    dry_run: bool
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., selections: _Optional[_Iterable[_Union[ClearTaskInstancesRequest.TaskSelection, _Mapping]]] = ..., include_upstream: bool = ..., include_downstream: bool = ..., only_failed: bool = ..., dry_run: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class ClearTaskInstancesResponse(_message.Message):
    __slots__ = ("cleared_count", "task_ids")
    CLEARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    cleared_count: int
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cleared_count: _Optional[int] = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SetTaskInstanceStateRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "state", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: _states_pb2.TaskState
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., state: _Optional[_Union[_states_pb2.TaskState, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetTaskInstanceStateResponse(_message.Message):
    __slots__ = ("task_instance",)
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    task_instance: TaskInstance
    def __init__(self, task_instance: _Optional[_Union[TaskInstance, _Mapping]] = ...) -> None: ...

class CancelTaskInstanceRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelTaskInstanceResponse(_message.Message):
    __slots__ = ("task_instance",)
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    task_instance: TaskInstance
    def __init__(self, task_instance: _Optional[_Union[TaskInstance, _Mapping]] = ...) -> None: ...

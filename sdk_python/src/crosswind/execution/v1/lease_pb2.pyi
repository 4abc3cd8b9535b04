from crosswind.execution.v1 import failure_pb2 as _failure_pb2
from crosswind.execution.v1 import xcom_pb2 as _xcom_pb2
from crosswind.manifest.v1 import dag_pb2 as _dag_pb2
from crosswind.manifest.v1 import task_pb2 as _task_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Workload(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKLOAD_UNSPECIFIED: _ClassVar[Workload]
    WORKLOAD_TASK: _ClassVar[Workload]
    WORKLOAD_TRIGGER: _ClassVar[Workload]
    WORKLOAD_CALLBACK: _ClassVar[Workload]
    WORKLOAD_TIMETABLE: _ClassVar[Workload]
WORKLOAD_UNSPECIFIED: Workload
WORKLOAD_TASK: Workload
WORKLOAD_TRIGGER: Workload
WORKLOAD_CALLBACK: Workload
WORKLOAD_TIMETABLE: Workload

class AttemptRef(_message.Message):
    __slots__ = ("attempt_id", "lease")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    lease: bytes
    def __init__(self, attempt_id: _Optional[str] = ..., lease: _Optional[bytes] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("attempt", "task_instance", "try_number", "bundle", "bundle_version", "entry_point", "start_deadline", "slots", "queue", "delivery", "workload")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    START_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptRef
    task_instance: TaskInstanceKey
    try_number: int
    bundle: str
    bundle_version: str
    entry_point: str
    start_deadline: _duration_pb2.Duration
    slots: int
    queue: str
    delivery: int
    workload: Workload
    def __init__(self, attempt: _Optional[_Union[AttemptRef, _Mapping]] = ..., task_instance: _Optional[_Union[TaskInstanceKey, _Mapping]] = ..., try_number: _Optional[int] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., entry_point: _Optional[str] = ..., start_deadline: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., slots: _Optional[int] = ..., queue: _Optional[str] = ..., delivery: _Optional[int] = ..., workload: _Optional[_Union[Workload, str]] = ...) -> None: ...

class TaskInstanceKey(_message.Message):
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

class TaskContext(_message.Message):
    __slots__ = ("task_instance", "attempt_id", "try_number", "max_tries", "run", "bundle", "bundle_version", "entry_point", "inputs", "variables", "connections", "execution_timeout", "cancel_grace", "on_partition", "isolation", "previous_failure", "resumption", "start_time", "first_start_time", "downstream_task_ids", "kind", "workload", "callback", "timetable", "map_index_name")
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    MAX_TRIES_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_GRACE_FIELD_NUMBER: _ClassVar[int]
    ON_PARTITION_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FAILURE_FIELD_NUMBER: _ClassVar[int]
    RESUMPTION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRST_START_TIME_FIELD_NUMBER: _ClassVar[int]
    DOWNSTREAM_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    TIMETABLE_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    task_instance: TaskInstanceKey
    attempt_id: str
    try_number: int
    max_tries: int
    run: RunContext
    bundle: str
    bundle_version: str
    entry_point: str
    inputs: _containers.RepeatedCompositeFieldContainer[InputValue]
    variables: _containers.RepeatedCompositeFieldContainer[Variable]
    connections: _containers.RepeatedCompositeFieldContainer[Connection]
    execution_timeout: _duration_pb2.Duration
    cancel_grace: _duration_pb2.Duration
    on_partition: _task_pb2.PartitionPolicy
    isolation: _task_pb2.Isolation
    previous_failure: _failure_pb2.Failure
    resumption: Resumption
    start_time: _timestamp_pb2.Timestamp
    first_start_time: _timestamp_pb2.Timestamp
    downstream_task_ids: _containers.RepeatedScalarFieldContainer[str]
    kind: _task_pb2.TaskKind
    workload: Workload
    callback: CallbackContext
    timetable: TimetableContext
    map_index_name: str
    def __init__(self, task_instance: _Optional[_Union[TaskInstanceKey, _Mapping]] = ..., attempt_id: _Optional[str] = ..., try_number: _Optional[int] = ..., max_tries: _Optional[int] = ..., run: _Optional[_Union[RunContext, _Mapping]] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., entry_point: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[InputValue, _Mapping]]] = ..., variables: _Optional[_Iterable[_Union[Variable, _Mapping]]] = ..., connections: _Optional[_Iterable[_Union[Connection, _Mapping]]] = ..., execution_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., cancel_grace: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., on_partition: _Optional[_Union[_task_pb2.PartitionPolicy, str]] = ..., isolation: _Optional[_Union[_task_pb2.Isolation, str]] = ..., previous_failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., resumption: _Optional[_Union[Resumption, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., first_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., downstream_task_ids: _Optional[_Iterable[str]] = ..., kind: _Optional[_Union[_task_pb2.TaskKind, str]] = ..., workload: _Optional[_Union[Workload, str]] = ..., callback: _Optional[_Union[CallbackContext, _Mapping]] = ..., timetable: _Optional[_Union[TimetableContext, _Mapping]] = ..., map_index_name: _Optional[str] = ...) -> None: ...

class CallbackContext(_message.Message):
    __slots__ = ("event", "task_instance", "try_number", "failure", "state")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TASK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    event: _dag_pb2.Callback.Event
    task_instance: TaskInstanceKey
    try_number: int
    failure: _failure_pb2.Failure
    state: str
    def __init__(self, event: _Optional[_Union[_dag_pb2.Callback.Event, str]] = ..., task_instance: _Optional[_Union[TaskInstanceKey, _Mapping]] = ..., try_number: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...

class TimetableContext(_message.Message):
    __slots__ = ("config_json", "last_run", "start_time", "end_time", "catchup", "limit", "now")
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CATCHUP_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    config_json: str
    last_run: NextRun
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    catchup: bool
    limit: int
    now: _timestamp_pb2.Timestamp
    def __init__(self, config_json: _Optional[str] = ..., last_run: _Optional[_Union[NextRun, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., catchup: bool = ..., limit: _Optional[int] = ..., now: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class NextRun(_message.Message):
    __slots__ = ("logical_time", "data_interval_start_time", "data_interval_end_time", "run_after_time")
    LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_END_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_AFTER_TIME_FIELD_NUMBER: _ClassVar[int]
    logical_time: _timestamp_pb2.Timestamp
    data_interval_start_time: _timestamp_pb2.Timestamp
    data_interval_end_time: _timestamp_pb2.Timestamp
    run_after_time: _timestamp_pb2.Timestamp
    def __init__(self, logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run_after_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RunContext(_message.Message):
    __slots__ = ("dag_id", "run_id", "dag_version_id", "conf", "logical_time", "data_interval_start_time", "data_interval_end_time", "start_time", "run_type", "partition_key")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_INTERVAL_END_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    dag_version_id: str
    conf: _value_pb2.Payload
    logical_time: _timestamp_pb2.Timestamp
    data_interval_start_time: _timestamp_pb2.Timestamp
    data_interval_end_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    run_type: str
    partition_key: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., dag_version_id: _Optional[str] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., data_interval_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run_type: _Optional[str] = ..., partition_key: _Optional[str] = ...) -> None: ...

class InputValue(_message.Message):
    __slots__ = ("name", "position", "payload", "list", "reference", "composite", "path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    COMPOSITE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    position: int
    payload: _value_pb2.Payload
    list: PayloadList
    reference: _xcom_pb2.XComKey
    composite: CompositeValue
    path: _containers.RepeatedCompositeFieldContainer[_task_pb2.Output.PathStep]
    def __init__(self, name: _Optional[str] = ..., position: _Optional[int] = ..., payload: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., list: _Optional[_Union[PayloadList, _Mapping]] = ..., reference: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., composite: _Optional[_Union[CompositeValue, _Mapping]] = ..., path: _Optional[_Iterable[_Union[_task_pb2.Output.PathStep, _Mapping]]] = ...) -> None: ...

class PayloadList(_message.Message):
    __slots__ = ("payloads",)
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    payloads: _containers.RepeatedCompositeFieldContainer[_value_pb2.Payload]
    def __init__(self, payloads: _Optional[_Iterable[_Union[_value_pb2.Payload, _Mapping]]] = ...) -> None: ...

class CompositeValue(_message.Message):
    __slots__ = ("template_json", "parts")
    TEMPLATE_JSON_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    template_json: str
    parts: _containers.RepeatedCompositeFieldContainer[InputValue]
    def __init__(self, template_json: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[InputValue, _Mapping]]] = ...) -> None: ...

class Resumption(_message.Message):
    __slots__ = ("method", "state", "event", "timed_out")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    method: str
    state: _value_pb2.Payload
    event: _value_pb2.Payload
    timed_out: bool
    def __init__(self, method: _Optional[str] = ..., state: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., event: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., timed_out: bool = ...) -> None: ...

class Variable(_message.Message):
    __slots__ = ("key", "value", "public")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    public: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., public: bool = ...) -> None: ...

class Connection(_message.Message):
    __slots__ = ("connection_id", "conn_type", "host", "port", "schema", "login", "password", "extra_json", "description")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    CONN_TYPE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    conn_type: str
    host: str
    port: int
    schema: str
    login: str
    password: str
    extra_json: str
    description: str
    def __init__(self, connection_id: _Optional[str] = ..., conn_type: _Optional[str] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., schema: _Optional[str] = ..., login: _Optional[str] = ..., password: _Optional[str] = ..., extra_json: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

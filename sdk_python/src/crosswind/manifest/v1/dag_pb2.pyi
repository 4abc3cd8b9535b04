from crosswind.manifest.v1 import retry_pb2 as _retry_pb2
from crosswind.manifest.v1 import schedule_pb2 as _schedule_pb2
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

class AccessMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_MODE_UNSPECIFIED: _ClassVar[AccessMode]
    ACCESS_MODE_OPEN: _ClassVar[AccessMode]
    ACCESS_MODE_STRICT: _ClassVar[AccessMode]

class VersionPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERSION_POLICY_UNSPECIFIED: _ClassVar[VersionPolicy]
    VERSION_POLICY_NEWEST: _ClassVar[VersionPolicy]
    VERSION_POLICY_FAIL: _ClassVar[VersionPolicy]
ACCESS_MODE_UNSPECIFIED: AccessMode
ACCESS_MODE_OPEN: AccessMode
ACCESS_MODE_STRICT: AccessMode
VERSION_POLICY_UNSPECIFIED: VersionPolicy
VERSION_POLICY_NEWEST: VersionPolicy
VERSION_POLICY_FAIL: VersionPolicy

class Dag(_message.Message):
    __slots__ = ("dag_id", "display_name", "description", "doc_md", "tags", "owner", "schedule", "start_time", "end_time", "catchup", "params", "max_active_runs", "max_active_tasks", "run_timeout", "deadline", "tasks", "groups", "access", "version_policy", "callbacks", "paused_upon_creation", "source_location")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DOC_MD_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CATCHUP_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_TASKS_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_POLICY_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_UPON_CREATION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    display_name: str
    description: str
    doc_md: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    schedule: _schedule_pb2.Schedule
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    catchup: bool
    params: _containers.RepeatedCompositeFieldContainer[Param]
    max_active_runs: int
    max_active_tasks: int
    run_timeout: _duration_pb2.Duration
    deadline: Deadline
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    groups: _containers.RepeatedCompositeFieldContainer[TaskGroup]
    access: Access
    version_policy: VersionPolicy
    callbacks: _containers.RepeatedCompositeFieldContainer[Callback]
    paused_upon_creation: bool
    source_location: str
    def __init__(self, dag_id: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., doc_md: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., schedule: _Optional[_Union[_schedule_pb2.Schedule, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., catchup: bool = ..., params: _Optional[_Iterable[_Union[Param, _Mapping]]] = ..., max_active_runs: _Optional[int] = ..., max_active_tasks: _Optional[int] = ..., run_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., deadline: _Optional[_Union[Deadline, _Mapping]] = ..., tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[TaskGroup, _Mapping]]] = ..., access: _Optional[_Union[Access, _Mapping]] = ..., version_policy: _Optional[_Union[VersionPolicy, str]] = ..., callbacks: _Optional[_Iterable[_Union[Callback, _Mapping]]] = ..., paused_upon_creation: bool = ..., source_location: _Optional[str] = ...) -> None: ...

class Param(_message.Message):
    __slots__ = ("name", "default_value", "json_schema", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    default_value: _value_pb2.Payload
    json_schema: str
    description: str
    def __init__(self, name: _Optional[str] = ..., default_value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., json_schema: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class TaskGroup(_message.Message):
    __slots__ = ("group_id", "parent_group_id", "description", "mapping")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    parent_group_id: str
    description: str
    mapping: _task_pb2.Mapping
    def __init__(self, group_id: _Optional[str] = ..., parent_group_id: _Optional[str] = ..., description: _Optional[str] = ..., mapping: _Optional[_Union[_task_pb2.Mapping, _Mapping]] = ...) -> None: ...

class Access(_message.Message):
    __slots__ = ("mode", "variables", "connections", "dags")
    MODE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    DAGS_FIELD_NUMBER: _ClassVar[int]
    mode: AccessMode
    variables: _containers.RepeatedScalarFieldContainer[str]
    connections: _containers.RepeatedScalarFieldContainer[str]
    dags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, mode: _Optional[_Union[AccessMode, str]] = ..., variables: _Optional[_Iterable[str]] = ..., connections: _Optional[_Iterable[str]] = ..., dags: _Optional[_Iterable[str]] = ...) -> None: ...

class Callback(_message.Message):
    __slots__ = ("event", "entry_point", "retry")
    class Event(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EVENT_UNSPECIFIED: _ClassVar[Callback.Event]
        EVENT_SUCCESS: _ClassVar[Callback.Event]
        EVENT_FAILURE: _ClassVar[Callback.Event]
        EVENT_RETRY: _ClassVar[Callback.Event]
        EVENT_DEADLINE: _ClassVar[Callback.Event]
        EVENT_SKIPPED: _ClassVar[Callback.Event]
    EVENT_UNSPECIFIED: Callback.Event
    EVENT_SUCCESS: Callback.Event
    EVENT_FAILURE: Callback.Event
    EVENT_RETRY: Callback.Event
    EVENT_DEADLINE: Callback.Event
    EVENT_SKIPPED: Callback.Event
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    event: Callback.Event
    entry_point: str
    retry: _retry_pb2.RetryPolicy
    def __init__(self, event: _Optional[_Union[Callback.Event, str]] = ..., entry_point: _Optional[str] = ..., retry: _Optional[_Union[_retry_pb2.RetryPolicy, _Mapping]] = ...) -> None: ...

class Deadline(_message.Message):
    __slots__ = ("reference", "interval")
    class Reference(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REFERENCE_UNSPECIFIED: _ClassVar[Deadline.Reference]
        REFERENCE_QUEUED: _ClassVar[Deadline.Reference]
        REFERENCE_LOGICAL_TIME: _ClassVar[Deadline.Reference]
        REFERENCE_STARTED: _ClassVar[Deadline.Reference]
    REFERENCE_UNSPECIFIED: Deadline.Reference
    REFERENCE_QUEUED: Deadline.Reference
    REFERENCE_LOGICAL_TIME: Deadline.Reference
    REFERENCE_STARTED: Deadline.Reference
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    reference: Deadline.Reference
    interval: _duration_pb2.Duration
    def __init__(self, reference: _Optional[_Union[Deadline.Reference, str]] = ..., interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

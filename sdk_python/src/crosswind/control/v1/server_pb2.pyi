from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DatabaseKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATABASE_KIND_UNSPECIFIED: _ClassVar[DatabaseKind]
    DATABASE_KIND_SQLITE: _ClassVar[DatabaseKind]
    DATABASE_KIND_POSTGRESQL: _ClassVar[DatabaseKind]
    DATABASE_KIND_SQLITE_MEMORY: _ClassVar[DatabaseKind]
DATABASE_KIND_UNSPECIFIED: DatabaseKind
DATABASE_KIND_SQLITE: DatabaseKind
DATABASE_KIND_POSTGRESQL: DatabaseKind
DATABASE_KIND_SQLITE_MEMORY: DatabaseKind

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "api_versions", "database_kind", "database_connections", "start_time", "database_time", "schema_revision", "server_id", "team", "subject", "counts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_KIND_FIELD_NUMBER: _ClassVar[int]
    DATABASE_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATABASE_TIME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_REVISION_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    version: str
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    database_kind: DatabaseKind
    database_connections: int
    start_time: _timestamp_pb2.Timestamp
    database_time: _timestamp_pb2.Timestamp
    schema_revision: str
    server_id: str
    team: str
    subject: str
    counts: ServerCounts
    def __init__(self, version: _Optional[str] = ..., api_versions: _Optional[_Iterable[str]] = ..., database_kind: _Optional[_Union[DatabaseKind, str]] = ..., database_connections: _Optional[int] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., database_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., schema_revision: _Optional[str] = ..., server_id: _Optional[str] = ..., team: _Optional[str] = ..., subject: _Optional[str] = ..., counts: _Optional[_Union[ServerCounts, _Mapping]] = ...) -> None: ...

class ServerCounts(_message.Message):
    __slots__ = ("dags", "active_runs", "active_tasks", "live_attempts", "live_workers", "slots", "open_input_requests")
    DAGS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TASKS_FIELD_NUMBER: _ClassVar[int]
    LIVE_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LIVE_WORKERS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INPUT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    dags: int
    active_runs: int
    active_tasks: _containers.RepeatedCompositeFieldContainer[_states_pb2.TaskStateCount]
    live_attempts: int
    live_workers: int
    slots: int
    open_input_requests: int
    def __init__(self, dags: _Optional[int] = ..., active_runs: _Optional[int] = ..., active_tasks: _Optional[_Iterable[_Union[_states_pb2.TaskStateCount, _Mapping]]] = ..., live_attempts: _Optional[int] = ..., live_workers: _Optional[int] = ..., slots: _Optional[int] = ..., open_input_requests: _Optional[int] = ...) -> None: ...

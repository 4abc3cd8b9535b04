from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.manifest.v1 import dag_pb2 as _dag_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Dag(_message.Message):
    __slots__ = ("dag_id", "bundle", "bundle_version", "dag_version_id", "description", "tags", "owner", "paused", "schedule", "next_run_time", "task_count", "languages", "offered", "latest_run_id", "latest_run_state", "active_run_count", "create_time", "update_time", "removed")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    LATEST_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    LATEST_RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    bundle: str
    bundle_version: str
    dag_version_id: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    paused: bool
    schedule: str
    next_run_time: _timestamp_pb2.Timestamp
    task_count: int
    languages: _containers.RepeatedScalarFieldContainer[str]
    offered: bool
    latest_run_id: str
    latest_run_state: _states_pb2.RunState
    active_run_count: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    removed: bool
    def __init__(self, dag_id: _Optional[str] = ..., bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., dag_version_id: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., paused: bool = ..., schedule: _Optional[str] = ..., next_run_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., task_count: _Optional[int] = ..., languages: _Optional[_Iterable[str]] = ..., offered: bool = ..., latest_run_id: _Optional[str] = ..., latest_run_state: _Optional[_Union[_states_pb2.RunState, str]] = ..., active_run_count: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., removed: bool = ...) -> None: ...

class DagVersion(_message.Message):
    __slots__ = ("dag_id", "dag_version_id", "version_number", "bundle", "bundle_versions", "current", "offered", "task_count", "create_time")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    dag_version_id: str
    version_number: int
    bundle: str
    bundle_versions: _containers.RepeatedScalarFieldContainer[str]
    current: bool
    offered: bool
    task_count: int
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, dag_id: _Optional[str] = ..., dag_version_id: _Optional[str] = ..., version_number: _Optional[int] = ..., bundle: _Optional[str] = ..., bundle_versions: _Optional[_Iterable[str]] = ..., current: bool = ..., offered: bool = ..., task_count: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListDagsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "dag_id_contains", "tags", "paused", "bundle", "include_removed")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_CONTAINS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REMOVED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    dag_id_contains: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    paused: bool
    bundle: str
    include_removed: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., dag_id_contains: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., paused: bool = ..., bundle: _Optional[str] = ..., include_removed: bool = ...) -> None: ...

class ListDagsResponse(_message.Message):
    __slots__ = ("dags", "next_page_token")
    DAGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dags: _containers.RepeatedCompositeFieldContainer[Dag]
    next_page_token: str
    def __init__(self, dags: _Optional[_Iterable[_Union[Dag, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDagRequest(_message.Message):
    __slots__ = ("dag_id", "include_manifest", "dag_version_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    include_manifest: bool
    dag_version_id: str
    def __init__(self, dag_id: _Optional[str] = ..., include_manifest: bool = ..., dag_version_id: _Optional[str] = ...) -> None: ...

class GetDagResponse(_message.Message):
    __slots__ = ("dag", "manifest", "manifest_dag_version_id")
    DAG_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    dag: Dag
    manifest: _dag_pb2.Dag
    manifest_dag_version_id: str
    def __init__(self, dag: _Optional[_Union[Dag, _Mapping]] = ..., manifest: _Optional[_Union[_dag_pb2.Dag, _Mapping]] = ..., manifest_dag_version_id: _Optional[str] = ...) -> None: ...

class UpdateDagRequest(_message.Message):
    __slots__ = ("dag_id", "paused", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    paused: bool
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., paused: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateDagResponse(_message.Message):
    __slots__ = ("dag",)
    DAG_FIELD_NUMBER: _ClassVar[int]
    dag: Dag
    def __init__(self, dag: _Optional[_Union[Dag, _Mapping]] = ...) -> None: ...

class ListDagVersionsRequest(_message.Message):
    __slots__ = ("dag_id", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDagVersionsResponse(_message.Message):
    __slots__ = ("dag_versions", "next_page_token")
    DAG_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_versions: _containers.RepeatedCompositeFieldContainer[DagVersion]
    next_page_token: str
    def __init__(self, dag_versions: _Optional[_Iterable[_Union[DagVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDagVersionRequest(_message.Message):
    __slots__ = ("dag_id", "dag_version_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    dag_version_id: str
    def __init__(self, dag_id: _Optional[str] = ..., dag_version_id: _Optional[str] = ...) -> None: ...

class GetDagVersionResponse(_message.Message):
    __slots__ = ("dag_version", "manifest")
    DAG_VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    dag_version: DagVersion
    manifest: _dag_pb2.Dag
    def __init__(self, dag_version: _Optional[_Union[DagVersion, _Mapping]] = ..., manifest: _Optional[_Union[_dag_pb2.Dag, _Mapping]] = ...) -> None: ...

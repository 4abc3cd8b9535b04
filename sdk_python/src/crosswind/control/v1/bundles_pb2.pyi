from crosswind.execution.v1 import errors_pb2 as _errors_pb2
from crosswind.manifest.v1 import bundle_pb2 as _bundle_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Bundle(_message.Message):
    __slots__ = ("bundle", "owner", "current_version", "version_count", "create_time", "update_time")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    CURRENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    owner: str
    current_version: BundleVersion
    version_count: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, bundle: _Optional[str] = ..., owner: _Optional[str] = ..., current_version: _Optional[_Union[BundleVersion, _Mapping]] = ..., version_count: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BundleVersion(_message.Message):
    __slots__ = ("bundle", "bundle_version", "current", "sdk", "api_version", "dags", "offered_entry_points", "problems", "workers", "published_by", "create_time")
    class DagVersionReference(_message.Message):
        __slots__ = ("dag_id", "dag_version_id")
        DAG_ID_FIELD_NUMBER: _ClassVar[int]
        DAG_VERSION_ID_FIELD_NUMBER: _ClassVar[int]
        dag_id: str
        dag_version_id: str
        def __init__(self, dag_id: _Optional[str] = ..., dag_version_id: _Optional[str] = ...) -> None: ...
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    DAGS_FIELD_NUMBER: _ClassVar[int]
    OFFERED_ENTRY_POINTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    current: bool
    sdk: _bundle_pb2.Sdk
    api_version: str
    dags: _containers.RepeatedCompositeFieldContainer[BundleVersion.DagVersionReference]
    offered_entry_points: _containers.RepeatedScalarFieldContainer[str]
    problems: _containers.RepeatedCompositeFieldContainer[BundleProblem]
    workers: _containers.RepeatedScalarFieldContainer[str]
    published_by: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., current: bool = ..., sdk: _Optional[_Union[_bundle_pb2.Sdk, _Mapping]] = ..., api_version: _Optional[str] = ..., dags: _Optional[_Iterable[_Union[BundleVersion.DagVersionReference, _Mapping]]] = ..., offered_entry_points: _Optional[_Iterable[str]] = ..., problems: _Optional[_Iterable[_Union[BundleProblem, _Mapping]]] = ..., workers: _Optional[_Iterable[str]] = ..., published_by: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BundleProblem(_message.Message):
    __slots__ = ("dag_id", "source", "line", "reason", "message")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    source: str
    line: int
    reason: _errors_pb2.ErrorReason
    message: str
    def __init__(self, dag_id: _Optional[str] = ..., source: _Optional[str] = ..., line: _Optional[int] = ..., reason: _Optional[_Union[_errors_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ...) -> None: ...

class ListBundlesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBundlesResponse(_message.Message):
    __slots__ = ("bundles", "next_page_token")
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[Bundle]
    next_page_token: str
    def __init__(self, bundles: _Optional[_Iterable[_Union[Bundle, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListBundleVersionsRequest(_message.Message):
    __slots__ = ("bundle", "page_size", "page_token")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    page_size: int
    page_token: str
    def __init__(self, bundle: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBundleVersionsResponse(_message.Message):
    __slots__ = ("bundle_versions", "next_page_token")
    BUNDLE_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bundle_versions: _containers.RepeatedCompositeFieldContainer[BundleVersion]
    next_page_token: str
    def __init__(self, bundle_versions: _Optional[_Iterable[_Union[BundleVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetCurrentBundleVersionRequest(_message.Message):
    __slots__ = ("bundle", "bundle_version", "request_id")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    request_id: str
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetCurrentBundleVersionResponse(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: Bundle
    def __init__(self, bundle: _Optional[_Union[Bundle, _Mapping]] = ...) -> None: ...

from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Manifest(_message.Message):
    __slots__ = ("bundle", "bundle_version", "api_version", "sdk", "dags", "offered_tasks", "source_errors", "further_api_versions")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    DAGS_FIELD_NUMBER: _ClassVar[int]
    OFFERED_TASKS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ERRORS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    api_version: str
    sdk: Sdk
    dags: _containers.RepeatedCompositeFieldContainer[SerializedDag]
    offered_tasks: _containers.RepeatedCompositeFieldContainer[OfferedTask]
    source_errors: _containers.RepeatedCompositeFieldContainer[SourceError]
    further_api_versions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., api_version: _Optional[str] = ..., sdk: _Optional[_Union[Sdk, _Mapping]] = ..., dags: _Optional[_Iterable[_Union[SerializedDag, _Mapping]]] = ..., offered_tasks: _Optional[_Iterable[_Union[OfferedTask, _Mapping]]] = ..., source_errors: _Optional[_Iterable[_Union[SourceError, _Mapping]]] = ..., further_api_versions: _Optional[_Iterable[str]] = ...) -> None: ...

class Sdk(_message.Message):
    __slots__ = ("language", "language_version", "version")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    language: str
    language_version: str
    version: str
    def __init__(self, language: _Optional[str] = ..., language_version: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class SerializedDag(_message.Message):
    __slots__ = ("dag_id", "dag")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    dag: bytes
    def __init__(self, dag_id: _Optional[str] = ..., dag: _Optional[bytes] = ...) -> None: ...

class OfferedTask(_message.Message):
    __slots__ = ("entry_point", "parameter_names", "doc")
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_NAMES_FIELD_NUMBER: _ClassVar[int]
    DOC_FIELD_NUMBER: _ClassVar[int]
    entry_point: str
    parameter_names: _containers.RepeatedScalarFieldContainer[str]
    doc: str
    def __init__(self, entry_point: _Optional[str] = ..., parameter_names: _Optional[_Iterable[str]] = ..., doc: _Optional[str] = ...) -> None: ...

class SourceError(_message.Message):
    __slots__ = ("source", "message", "line")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    source: str
    message: str
    line: int
    def __init__(self, source: _Optional[str] = ..., message: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

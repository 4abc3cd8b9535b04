from crosswind.execution.v1 import lease_pb2 as _lease_pb2
from crosswind.execution.v1 import logs_pb2 as _logs_pb2
from crosswind.execution.v1 import outcome_pb2 as _outcome_pb2
from crosswind.manifest.v1 import bundle_pb2 as _bundle_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetManifestRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetManifestResponse(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: _bundle_pb2.Manifest
    def __init__(self, manifest: _Optional[_Union[_bundle_pb2.Manifest, _Mapping]] = ...) -> None: ...

class RunTaskRequest(_message.Message):
    __slots__ = ("context", "callback_address", "callback_key", "max_inline_value_bytes")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_KEY_FIELD_NUMBER: _ClassVar[int]
    MAX_INLINE_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    context: _lease_pb2.TaskContext
    callback_address: str
    callback_key: str
    max_inline_value_bytes: int
    def __init__(self, context: _Optional[_Union[_lease_pb2.TaskContext, _Mapping]] = ..., callback_address: _Optional[str] = ..., callback_key: _Optional[str] = ..., max_inline_value_bytes: _Optional[int] = ...) -> None: ...

class RunTaskResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: _outcome_pb2.Outcome
    def __init__(self, outcome: _Optional[_Union[_outcome_pb2.Outcome, _Mapping]] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("attempt_id", "grace")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    grace: _duration_pb2.Duration
    def __init__(self, attempt_id: _Optional[str] = ..., grace: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CancelTaskResponse(_message.Message):
    __slots__ = ("running",)
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    running: bool
    def __init__(self, running: bool = ...) -> None: ...

class WriteLogsRequest(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_logs_pb2.LogRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[_logs_pb2.LogRecord, _Mapping]]] = ...) -> None: ...

class WriteLogsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

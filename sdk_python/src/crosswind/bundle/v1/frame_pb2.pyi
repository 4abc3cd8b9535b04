from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("stream_id", "kind", "method", "timeout", "payload")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Frame.Kind]
        KIND_REQUEST: _ClassVar[Frame.Kind]
        KIND_RESPONSE: _ClassVar[Frame.Kind]
        KIND_STATUS: _ClassVar[Frame.Kind]
        KIND_NOTICE: _ClassVar[Frame.Kind]
    KIND_UNSPECIFIED: Frame.Kind
    KIND_REQUEST: Frame.Kind
    KIND_RESPONSE: Frame.Kind
    KIND_STATUS: Frame.Kind
    KIND_NOTICE: Frame.Kind
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    stream_id: int
    kind: Frame.Kind
    method: str
    timeout: _duration_pb2.Duration
    payload: bytes
    def __init__(self, stream_id: _Optional[int] = ..., kind: _Optional[_Union[Frame.Kind, str]] = ..., method: _Optional[str] = ..., timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., payload: _Optional[bytes] = ...) -> None: ...

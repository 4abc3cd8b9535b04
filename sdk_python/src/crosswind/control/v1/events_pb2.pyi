from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeliverEventRequest(_message.Message):
    __slots__ = ("name", "payload", "dag_id", "run_id", "keep", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    payload: _value_pb2.Payload
    dag_id: str
    run_id: str
    keep: _duration_pb2.Duration
    request_id: str
    def __init__(self, name: _Optional[str] = ..., payload: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., keep: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeliverEventResponse(_message.Message):
    __slots__ = ("delivered_count",)
    DELIVERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    delivered_count: int
    def __init__(self, delivered_count: _Optional[int] = ...) -> None: ...

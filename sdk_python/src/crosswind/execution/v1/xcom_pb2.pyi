from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class XComKey(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "key")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., key: _Optional[str] = ...) -> None: ...

class XComInfo(_message.Message):
    __slots__ = ("key", "encoding", "size_bytes", "item_count", "write_time")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRITE_TIME_FIELD_NUMBER: _ClassVar[int]
    key: XComKey
    encoding: str
    size_bytes: int
    item_count: int
    write_time: _timestamp_pb2.Timestamp
    def __init__(self, key: _Optional[_Union[XComKey, _Mapping]] = ..., encoding: _Optional[str] = ..., size_bytes: _Optional[int] = ..., item_count: _Optional[int] = ..., write_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class XComWrite(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _value_pb2.Payload
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ...) -> None: ...

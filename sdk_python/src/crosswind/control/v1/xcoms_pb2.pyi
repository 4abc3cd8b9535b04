from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class XCom(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "key", "encoding", "size_bytes", "item_count", "write_time")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRITE_TIME_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    encoding: str
    size_bytes: int
    item_count: int
    write_time: _timestamp_pb2.Timestamp
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., key: _Optional[str] = ..., encoding: _Optional[str] = ..., size_bytes: _Optional[int] = ..., item_count: _Optional[int] = ..., write_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListXComsRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "key", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListXComsResponse(_message.Message):
    __slots__ = ("xcoms", "next_page_token")
    XCOMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    xcoms: _containers.RepeatedCompositeFieldContainer[XCom]
    next_page_token: str
    def __init__(self, xcoms: _Optional[_Iterable[_Union[XCom, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetXComRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "key", "first_item", "max_items")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FIRST_ITEM_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    first_item: int
    max_items: int
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., key: _Optional[str] = ..., first_item: _Optional[int] = ..., max_items: _Optional[int] = ...) -> None: ...

class GetXComResponse(_message.Message):
    __slots__ = ("xcom", "value", "next_item")
    XCOM_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NEXT_ITEM_FIELD_NUMBER: _ClassVar[int]
    xcom: XCom
    value: _value_pb2.Payload
    next_item: int
    def __init__(self, xcom: _Optional[_Union[XCom, _Mapping]] = ..., value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., next_item: _Optional[int] = ...) -> None: ...

class ReadXComBlobRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_id", "map_index", "key", "blob_id", "offset")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    blob_id: str
    offset: int
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., key: _Optional[str] = ..., blob_id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class ReadXComBlobResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

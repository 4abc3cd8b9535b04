from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogChunk(_message.Message):
    __slots__ = ("first_sequence", "record_count", "compression", "data", "dropped", "last")
    class Compression(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMPRESSION_UNSPECIFIED: _ClassVar[LogChunk.Compression]
        COMPRESSION_IDENTITY: _ClassVar[LogChunk.Compression]
        COMPRESSION_GZIP: _ClassVar[LogChunk.Compression]
    COMPRESSION_UNSPECIFIED: LogChunk.Compression
    COMPRESSION_IDENTITY: LogChunk.Compression
    COMPRESSION_GZIP: LogChunk.Compression
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    record_count: int
    compression: LogChunk.Compression
    data: bytes
    dropped: int
    last: bool
    def __init__(self, first_sequence: _Optional[int] = ..., record_count: _Optional[int] = ..., compression: _Optional[_Union[LogChunk.Compression, str]] = ..., data: _Optional[bytes] = ..., dropped: _Optional[int] = ..., last: bool = ...) -> None: ...

class LogRecords(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[LogRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[LogRecord, _Mapping]]] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("time", "level", "logger", "message", "attributes_json", "source")
    class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LEVEL_UNSPECIFIED: _ClassVar[LogRecord.Level]
        LEVEL_DEBUG: _ClassVar[LogRecord.Level]
        LEVEL_INFO: _ClassVar[LogRecord.Level]
        LEVEL_WARNING: _ClassVar[LogRecord.Level]
        LEVEL_ERROR: _ClassVar[LogRecord.Level]
        LEVEL_CRITICAL: _ClassVar[LogRecord.Level]
    LEVEL_UNSPECIFIED: LogRecord.Level
    LEVEL_DEBUG: LogRecord.Level
    LEVEL_INFO: LogRecord.Level
    LEVEL_WARNING: LogRecord.Level
    LEVEL_ERROR: LogRecord.Level
    LEVEL_CRITICAL: LogRecord.Level
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[LogRecord.Source]
        SOURCE_TASK: _ClassVar[LogRecord.Source]
        SOURCE_STDOUT: _ClassVar[LogRecord.Source]
        SOURCE_STDERR: _ClassVar[LogRecord.Source]
        SOURCE_WORKER: _ClassVar[LogRecord.Source]
    SOURCE_UNSPECIFIED: LogRecord.Source
    SOURCE_TASK: LogRecord.Source
    SOURCE_STDOUT: LogRecord.Source
    SOURCE_STDERR: LogRecord.Source
    SOURCE_WORKER: LogRecord.Source
    TIME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOGGER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_JSON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    level: LogRecord.Level
    logger: str
    message: str
    attributes_json: str
    source: LogRecord.Source
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., level: _Optional[_Union[LogRecord.Level, str]] = ..., logger: _Optional[str] = ..., message: _Optional[str] = ..., attributes_json: _Optional[str] = ..., source: _Optional[_Union[LogRecord.Source, str]] = ...) -> None: ...

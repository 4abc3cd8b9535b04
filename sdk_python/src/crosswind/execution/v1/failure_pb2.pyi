from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Failure(_message.Message):
    __slots__ = ("type", "base_types", "message", "frames", "cause", "retryable", "retry_after", "exit")
    class Frame(_message.Message):
        __slots__ = ("function", "file", "line", "code")
        FUNCTION_FIELD_NUMBER: _ClassVar[int]
        FILE_FIELD_NUMBER: _ClassVar[int]
        LINE_FIELD_NUMBER: _ClassVar[int]
        CODE_FIELD_NUMBER: _ClassVar[int]
        function: str
        file: str
        line: int
        code: str
        def __init__(self, function: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., code: _Optional[str] = ...) -> None: ...
    class ProcessExit(_message.Message):
        __slots__ = ("code", "signal", "stderr_tail")
        CODE_FIELD_NUMBER: _ClassVar[int]
        SIGNAL_FIELD_NUMBER: _ClassVar[int]
        STDERR_TAIL_FIELD_NUMBER: _ClassVar[int]
        code: int
        signal: str
        stderr_tail: str
        def __init__(self, code: _Optional[int] = ..., signal: _Optional[str] = ..., stderr_tail: _Optional[str] = ...) -> None: ...
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BASE_TYPES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    type: str
    base_types: _containers.RepeatedScalarFieldContainer[str]
    message: str
    frames: _containers.RepeatedCompositeFieldContainer[Failure.Frame]
    cause: Failure
    retryable: bool
    retry_after: _duration_pb2.Duration
    exit: Failure.ProcessExit
    def __init__(self, type: _Optional[str] = ..., base_types: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[Failure.Frame, _Mapping]]] = ..., cause: _Optional[_Union[Failure, _Mapping]] = ..., retryable: bool = ..., retry_after: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., exit: _Optional[_Union[Failure.ProcessExit, _Mapping]] = ...) -> None: ...

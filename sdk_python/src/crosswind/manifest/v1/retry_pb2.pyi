from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetryPolicy(_message.Message):
    __slots__ = ("retries", "delay", "multiplier", "max_delay", "jitter", "rules", "max_lost")
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    MAX_LOST_FIELD_NUMBER: _ClassVar[int]
    retries: int
    delay: _duration_pb2.Duration
    multiplier: float
    max_delay: _duration_pb2.Duration
    jitter: float
    rules: _containers.RepeatedCompositeFieldContainer[RetryRule]
    max_lost: int
    def __init__(self, retries: _Optional[int] = ..., delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., multiplier: _Optional[float] = ..., max_delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[float] = ..., rules: _Optional[_Iterable[_Union[RetryRule, _Mapping]]] = ..., max_lost: _Optional[int] = ...) -> None: ...

class RetryRule(_message.Message):
    __slots__ = ("failure_types", "retry", "delay")
    FAILURE_TYPES_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    failure_types: _containers.RepeatedScalarFieldContainer[str]
    retry: bool
    delay: _duration_pb2.Duration
    def __init__(self, failure_types: _Optional[_Iterable[str]] = ..., retry: bool = ..., delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

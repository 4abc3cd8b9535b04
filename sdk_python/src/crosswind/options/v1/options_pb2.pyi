from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor
SINCE_FIELD_NUMBER: _ClassVar[int]
since: _descriptor.FieldDescriptor
DEPRECATED_SINCE_FIELD_NUMBER: _ClassVar[int]
deprecated_since: _descriptor.FieldDescriptor
SENSITIVE_FIELD_NUMBER: _ClassVar[int]
sensitive: _descriptor.FieldDescriptor
DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
default_value: _descriptor.FieldDescriptor
RANGE_FIELD_NUMBER: _ClassVar[int]
range: _descriptor.FieldDescriptor
REQUIRED_FIELD_NUMBER: _ClassVar[int]
required: _descriptor.FieldDescriptor
VALUE_SINCE_FIELD_NUMBER: _ClassVar[int]
value_since: _descriptor.FieldDescriptor
FALLBACK_FIELD_NUMBER: _ClassVar[int]
fallback: _descriptor.FieldDescriptor
STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
status_code: _descriptor.FieldDescriptor
METHOD_SINCE_FIELD_NUMBER: _ClassVar[int]
method_since: _descriptor.FieldDescriptor
IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
idempotent: _descriptor.FieldDescriptor
REASONS_FIELD_NUMBER: _ClassVar[int]
reasons: _descriptor.FieldDescriptor

class Range(_message.Message):
    __slots__ = ("minimum", "maximum", "min_length", "max_length")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    MIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    minimum: float
    maximum: float
    min_length: int
    max_length: int
    def __init__(self, minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., min_length: _Optional[int] = ..., max_length: _Optional[int] = ...) -> None: ...

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
SINCE_FIELD_NUMBER: _ClassVar[int]
since: _descriptor.FieldDescriptor
DEPRECATED_SINCE_FIELD_NUMBER: _ClassVar[int]
deprecated_since: _descriptor.FieldDescriptor
SENSITIVE_FIELD_NUMBER: _ClassVar[int]
sensitive: _descriptor.FieldDescriptor
DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
default_value: _descriptor.FieldDescriptor
VALUE_SINCE_FIELD_NUMBER: _ClassVar[int]
value_since: _descriptor.FieldDescriptor
FALLBACK_FIELD_NUMBER: _ClassVar[int]
fallback: _descriptor.FieldDescriptor
METHOD_SINCE_FIELD_NUMBER: _ClassVar[int]
method_since: _descriptor.FieldDescriptor
IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
idempotent: _descriptor.FieldDescriptor

from crosswind.execution.v1 import failure_pb2 as _failure_pb2
from crosswind.execution.v1 import lease_pb2 as _lease_pb2
from crosswind.execution.v1 import xcom_pb2 as _xcom_pb2
from crosswind.manifest.v1 import schedule_pb2 as _schedule_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(_message.Message):
    __slots__ = ("succeeded", "failed", "skipped", "deferred", "rescheduled", "awaiting_input", "cancelled", "xcoms", "asset_events", "checkpoints")
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    RESCHEDULED_FIELD_NUMBER: _ClassVar[int]
    AWAITING_INPUT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    XCOMS_FIELD_NUMBER: _ClassVar[int]
    ASSET_EVENTS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    succeeded: Succeeded
    failed: Failed
    skipped: Skipped
    deferred: Deferred
    rescheduled: Rescheduled
    awaiting_input: AwaitingInput
    cancelled: Cancelled
    xcoms: _containers.RepeatedCompositeFieldContainer[_xcom_pb2.XComWrite]
    asset_events: _containers.RepeatedCompositeFieldContainer[AssetEvent]
    checkpoints: _containers.RepeatedCompositeFieldContainer[StateWrite]
    def __init__(self, succeeded: _Optional[_Union[Succeeded, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., skipped: _Optional[_Union[Skipped, _Mapping]] = ..., deferred: _Optional[_Union[Deferred, _Mapping]] = ..., rescheduled: _Optional[_Union[Rescheduled, _Mapping]] = ..., awaiting_input: _Optional[_Union[AwaitingInput, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., xcoms: _Optional[_Iterable[_Union[_xcom_pb2.XComWrite, _Mapping]]] = ..., asset_events: _Optional[_Iterable[_Union[AssetEvent, _Mapping]]] = ..., checkpoints: _Optional[_Iterable[_Union[StateWrite, _Mapping]]] = ...) -> None: ...

class Succeeded(_message.Message):
    __slots__ = ("result", "branch", "skip_all_downstream", "next_runs")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    SKIP_ALL_DOWNSTREAM_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUNS_FIELD_NUMBER: _ClassVar[int]
    result: _value_pb2.Payload
    branch: BranchChoice
    skip_all_downstream: bool
    next_runs: _containers.RepeatedCompositeFieldContainer[_lease_pb2.NextRun]
    def __init__(self, result: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., branch: _Optional[_Union[BranchChoice, _Mapping]] = ..., skip_all_downstream: bool = ..., next_runs: _Optional[_Iterable[_Union[_lease_pb2.NextRun, _Mapping]]] = ...) -> None: ...

class BranchChoice(_message.Message):
    __slots__ = ("follow_ids",)
    FOLLOW_IDS_FIELD_NUMBER: _ClassVar[int]
    follow_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, follow_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("failure",)
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    failure: _failure_pb2.Failure
    def __init__(self, failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class Skipped(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Deferred(_message.Message):
    __slots__ = ("time", "delay", "event", "trigger", "timeout", "method", "state")
    TIME_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    delay: _duration_pb2.Duration
    event: NamedEvent
    trigger: Trigger
    timeout: _duration_pb2.Duration
    method: str
    state: _value_pb2.Payload
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., event: _Optional[_Union[NamedEvent, _Mapping]] = ..., trigger: _Optional[_Union[Trigger, _Mapping]] = ..., timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., method: _Optional[str] = ..., state: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ...) -> None: ...

class NamedEvent(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("entry_point", "arguments")
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    entry_point: str
    arguments: _value_pb2.Payload
    def __init__(self, entry_point: _Optional[str] = ..., arguments: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ...) -> None: ...

class Rescheduled(_message.Message):
    __slots__ = ("time", "delay")
    TIME_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    delay: _duration_pb2.Duration
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AwaitingInput(_message.Message):
    __slots__ = ("subject", "body", "options", "default_options", "multiple", "fields_schema_json", "respondents", "timeout", "method", "state")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    RESPONDENTS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    body: str
    options: _containers.RepeatedScalarFieldContainer[str]
    default_options: _containers.RepeatedScalarFieldContainer[str]
    multiple: bool
    fields_schema_json: str
    respondents: _containers.RepeatedScalarFieldContainer[str]
    timeout: _duration_pb2.Duration
    method: str
    state: _value_pb2.Payload
    def __init__(self, subject: _Optional[str] = ..., body: _Optional[str] = ..., options: _Optional[_Iterable[str]] = ..., default_options: _Optional[_Iterable[str]] = ..., multiple: bool = ..., fields_schema_json: _Optional[str] = ..., respondents: _Optional[_Iterable[str]] = ..., timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., method: _Optional[str] = ..., state: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ("how",)
    HOW_FIELD_NUMBER: _ClassVar[int]
    how: str
    def __init__(self, how: _Optional[str] = ...) -> None: ...

class AssetEvent(_message.Message):
    __slots__ = ("asset", "extra", "partition_key", "alias_names")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    ALIAS_NAMES_FIELD_NUMBER: _ClassVar[int]
    asset: _schedule_pb2.AssetReference
    extra: _value_pb2.Payload
    partition_key: str
    alias_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, asset: _Optional[_Union[_schedule_pb2.AssetReference, _Mapping]] = ..., extra: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., partition_key: _Optional[str] = ..., alias_names: _Optional[_Iterable[str]] = ...) -> None: ...

class StateWrite(_message.Message):
    __slots__ = ("key", "value", "time_to_live")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _value_pb2.Payload
    time_to_live: _duration_pb2.Duration
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., time_to_live: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

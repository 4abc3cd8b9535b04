from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Schedule(_message.Message):
    __slots__ = ("cron", "interval", "once", "events", "assets", "timetable")
    CRON_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ONCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    TIMETABLE_FIELD_NUMBER: _ClassVar[int]
    cron: CronSchedule
    interval: IntervalSchedule
    once: OnceSchedule
    events: EventListSchedule
    assets: AssetSchedule
    timetable: TimetableSchedule
    def __init__(self, cron: _Optional[_Union[CronSchedule, _Mapping]] = ..., interval: _Optional[_Union[IntervalSchedule, _Mapping]] = ..., once: _Optional[_Union[OnceSchedule, _Mapping]] = ..., events: _Optional[_Union[EventListSchedule, _Mapping]] = ..., assets: _Optional[_Union[AssetSchedule, _Mapping]] = ..., timetable: _Optional[_Union[TimetableSchedule, _Mapping]] = ...) -> None: ...

class CronSchedule(_message.Message):
    __slots__ = ("expression", "time_zone")
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    expression: str
    time_zone: str
    def __init__(self, expression: _Optional[str] = ..., time_zone: _Optional[str] = ...) -> None: ...

class IntervalSchedule(_message.Message):
    __slots__ = ("interval",)
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    interval: _duration_pb2.Duration
    def __init__(self, interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class OnceSchedule(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EventListSchedule(_message.Message):
    __slots__ = ("times",)
    TIMES_FIELD_NUMBER: _ClassVar[int]
    times: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    def __init__(self, times: _Optional[_Iterable[_Union[_timestamp_pb2.Timestamp, _Mapping]]] = ...) -> None: ...

class AssetSchedule(_message.Message):
    __slots__ = ("condition", "or_cron")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    OR_CRON_FIELD_NUMBER: _ClassVar[int]
    condition: AssetCondition
    or_cron: CronSchedule
    def __init__(self, condition: _Optional[_Union[AssetCondition, _Mapping]] = ..., or_cron: _Optional[_Union[CronSchedule, _Mapping]] = ...) -> None: ...

class AssetCondition(_message.Message):
    __slots__ = ("asset", "all", "any")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    asset: AssetReference
    all: AssetConditions
    any: AssetConditions
    def __init__(self, asset: _Optional[_Union[AssetReference, _Mapping]] = ..., all: _Optional[_Union[AssetConditions, _Mapping]] = ..., any: _Optional[_Union[AssetConditions, _Mapping]] = ...) -> None: ...

class AssetConditions(_message.Message):
    __slots__ = ("conditions",)
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[AssetCondition]
    def __init__(self, conditions: _Optional[_Iterable[_Union[AssetCondition, _Mapping]]] = ...) -> None: ...

class AssetReference(_message.Message):
    __slots__ = ("name", "uri", "alias")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    uri: str
    alias: bool
    def __init__(self, name: _Optional[str] = ..., uri: _Optional[str] = ..., alias: bool = ...) -> None: ...

class TimetableSchedule(_message.Message):
    __slots__ = ("entry_point", "config_json")
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    entry_point: str
    config_json: str
    def __init__(self, entry_point: _Optional[str] = ..., config_json: _Optional[str] = ...) -> None: ...

from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Asset(_message.Message):
    __slots__ = ("name", "uri", "alias", "scheduled_dag_ids", "producers", "consumers", "last_event_time", "event_count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_DAG_IDS_FIELD_NUMBER: _ClassVar[int]
    PRODUCERS_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    uri: str
    alias: bool
    scheduled_dag_ids: _containers.RepeatedScalarFieldContainer[str]
    producers: _containers.RepeatedCompositeFieldContainer[AssetTask]
    consumers: _containers.RepeatedCompositeFieldContainer[AssetTask]
    last_event_time: _timestamp_pb2.Timestamp
    event_count: int
    def __init__(self, name: _Optional[str] = ..., uri: _Optional[str] = ..., alias: bool = ..., scheduled_dag_ids: _Optional[_Iterable[str]] = ..., producers: _Optional[_Iterable[_Union[AssetTask, _Mapping]]] = ..., consumers: _Optional[_Iterable[_Union[AssetTask, _Mapping]]] = ..., last_event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., event_count: _Optional[int] = ...) -> None: ...

class AssetTask(_message.Message):
    __slots__ = ("dag_id", "task_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    task_id: str
    def __init__(self, dag_id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class AssetEvent(_message.Message):
    __slots__ = ("event_id", "asset_name", "event_time", "partition_key", "extra", "task", "subject", "triggered_runs")
    class AssetEventTask(_message.Message):
        __slots__ = ("dag_id", "run_id", "task_id", "map_index")
        DAG_ID_FIELD_NUMBER: _ClassVar[int]
        RUN_ID_FIELD_NUMBER: _ClassVar[int]
        TASK_ID_FIELD_NUMBER: _ClassVar[int]
        MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
        dag_id: str
        run_id: str
        task_id: str
        map_index: int
        def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ...) -> None: ...
    class AssetEventRun(_message.Message):
        __slots__ = ("dag_id", "run_id")
        DAG_ID_FIELD_NUMBER: _ClassVar[int]
        RUN_ID_FIELD_NUMBER: _ClassVar[int]
        dag_id: str
        run_id: str
        def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_RUNS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    asset_name: str
    event_time: _timestamp_pb2.Timestamp
    partition_key: str
    extra: _value_pb2.Payload
    task: AssetEvent.AssetEventTask
    subject: str
    triggered_runs: _containers.RepeatedCompositeFieldContainer[AssetEvent.AssetEventRun]
    def __init__(self, event_id: _Optional[str] = ..., asset_name: _Optional[str] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., partition_key: _Optional[str] = ..., extra: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., task: _Optional[_Union[AssetEvent.AssetEventTask, _Mapping]] = ..., subject: _Optional[str] = ..., triggered_runs: _Optional[_Iterable[_Union[AssetEvent.AssetEventRun, _Mapping]]] = ...) -> None: ...

class ListAssetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "name_prefix")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    name_prefix: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., name_prefix: _Optional[str] = ...) -> None: ...

class ListAssetsResponse(_message.Message):
    __slots__ = ("assets", "next_page_token")
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    assets: _containers.RepeatedCompositeFieldContainer[Asset]
    next_page_token: str
    def __init__(self, assets: _Optional[_Iterable[_Union[Asset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListAssetEventsRequest(_message.Message):
    __slots__ = ("asset_name", "min_event_time", "partition_key", "page_size", "page_token")
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    asset_name: str
    min_event_time: _timestamp_pb2.Timestamp
    partition_key: str
    page_size: int
    page_token: str
    def __init__(self, asset_name: _Optional[str] = ..., min_event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., partition_key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAssetEventsResponse(_message.Message):
    __slots__ = ("asset_events", "next_page_token")
    ASSET_EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    asset_events: _containers.RepeatedCompositeFieldContainer[AssetEvent]
    next_page_token: str
    def __init__(self, asset_events: _Optional[_Iterable[_Union[AssetEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateAssetEventRequest(_message.Message):
    __slots__ = ("asset_name", "partition_key", "extra", "request_id")
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    asset_name: str
    partition_key: str
    extra: _value_pb2.Payload
    request_id: str
    def __init__(self, asset_name: _Optional[str] = ..., partition_key: _Optional[str] = ..., extra: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateAssetEventResponse(_message.Message):
    __slots__ = ("asset_event",)
    ASSET_EVENT_FIELD_NUMBER: _ClassVar[int]
    asset_event: AssetEvent
    def __init__(self, asset_event: _Optional[_Union[AssetEvent, _Mapping]] = ...) -> None: ...

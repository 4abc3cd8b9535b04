from crosswind.execution.v1 import lease_pb2 as _lease_pb2
from crosswind.execution.v1 import outcome_pb2 as _outcome_pb2
from crosswind.execution.v1 import xcom_pb2 as _xcom_pb2
from crosswind.manifest.v1 import schedule_pb2 as _schedule_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetVariableRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class GetVariableResponse(_message.Message):
    __slots__ = ("variable",)
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    variable: _lease_pb2.Variable
    def __init__(self, variable: _Optional[_Union[_lease_pb2.Variable, _Mapping]] = ...) -> None: ...

class SetVariableRequest(_message.Message):
    __slots__ = ("key", "value", "description", "request_id", "public")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    description: str
    request_id: str
    public: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., description: _Optional[str] = ..., request_id: _Optional[str] = ..., public: bool = ...) -> None: ...

class SetVariableResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteVariableRequest(_message.Message):
    __slots__ = ("key", "request_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    request_id: str
    def __init__(self, key: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteVariableResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class GetConnectionRequest(_message.Message):
    __slots__ = ("connection_id",)
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    def __init__(self, connection_id: _Optional[str] = ...) -> None: ...

class GetConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: _lease_pb2.Connection
    def __init__(self, connection: _Optional[_Union[_lease_pb2.Connection, _Mapping]] = ...) -> None: ...

class GetXComRequest(_message.Message):
    __slots__ = ("key", "include_prior_dates")
    KEY_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PRIOR_DATES_FIELD_NUMBER: _ClassVar[int]
    key: _xcom_pb2.XComKey
    include_prior_dates: bool
    def __init__(self, key: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., include_prior_dates: bool = ...) -> None: ...

class GetXComResponse(_message.Message):
    __slots__ = ("value", "list")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Payload
    list: _lease_pb2.PayloadList
    def __init__(self, value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., list: _Optional[_Union[_lease_pb2.PayloadList, _Mapping]] = ...) -> None: ...

class GetXComItemRequest(_message.Message):
    __slots__ = ("key", "index")
    KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    key: _xcom_pb2.XComKey
    index: int
    def __init__(self, key: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., index: _Optional[int] = ...) -> None: ...

class GetXComItemResponse(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Payload
    def __init__(self, value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ...) -> None: ...

class SliceXComRequest(_message.Message):
    __slots__ = ("key", "start", "limit")
    KEY_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    key: _xcom_pb2.XComKey
    start: int
    limit: int
    def __init__(self, key: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., start: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class SliceXComResponse(_message.Message):
    __slots__ = ("values", "total_size")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_value_pb2.Payload]
    total_size: int
    def __init__(self, values: _Optional[_Iterable[_Union[_value_pb2.Payload, _Mapping]]] = ..., total_size: _Optional[int] = ...) -> None: ...

class SetXComRequest(_message.Message):
    __slots__ = ("key", "value", "request_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _value_pb2.Payload
    request_id: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetXComResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteXComRequest(_message.Message):
    __slots__ = ("key", "request_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    key: str
    request_id: str
    def __init__(self, key: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteXComResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class ListXComsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: _xcom_pb2.XComKey
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListXComsResponse(_message.Message):
    __slots__ = ("xcoms", "next_page_token")
    XCOMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    xcoms: _containers.RepeatedCompositeFieldContainer[_xcom_pb2.XComInfo]
    next_page_token: str
    def __init__(self, xcoms: _Optional[_Iterable[_Union[_xcom_pb2.XComInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateBlobRequest(_message.Message):
    __slots__ = ("size_bytes", "request_id")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    request_id: str
    def __init__(self, size_bytes: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateBlobResponse(_message.Message):
    __slots__ = ("blob_id", "max_chunk_bytes")
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    blob_id: str
    max_chunk_bytes: int
    def __init__(self, blob_id: _Optional[str] = ..., max_chunk_bytes: _Optional[int] = ...) -> None: ...

class AppendBlobRequest(_message.Message):
    __slots__ = ("blob_id", "offset", "data")
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    blob_id: str
    offset: int
    data: bytes
    def __init__(self, blob_id: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class AppendBlobResponse(_message.Message):
    __slots__ = ("next_offset",)
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    next_offset: int
    def __init__(self, next_offset: _Optional[int] = ...) -> None: ...

class ReadBlobRequest(_message.Message):
    __slots__ = ("key", "blob_id", "offset")
    KEY_FIELD_NUMBER: _ClassVar[int]
    BLOB_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    key: _xcom_pb2.XComKey
    blob_id: str
    offset: int
    def __init__(self, key: _Optional[_Union[_xcom_pb2.XComKey, _Mapping]] = ..., blob_id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class ReadBlobResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class TriggerDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "conf", "logical_time", "request_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    conf: _value_pb2.Payload
    logical_time: _timestamp_pb2.Timestamp
    request_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., conf: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., logical_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class TriggerDagRunResponse(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetDagRunRequest(_message.Message):
    __slots__ = ("dag_id", "run_id")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class GetDagRunResponse(_message.Message):
    __slots__ = ("run", "state")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    run: _lease_pb2.RunContext
    state: str
    def __init__(self, run: _Optional[_Union[_lease_pb2.RunContext, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...

class GetPreviousDagRunRequest(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: str
    def __init__(self, state: _Optional[str] = ...) -> None: ...

class GetPreviousDagRunResponse(_message.Message):
    __slots__ = ("run", "state")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    run: _lease_pb2.RunContext
    state: str
    def __init__(self, run: _Optional[_Union[_lease_pb2.RunContext, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...

class GetTaskStatesRequest(_message.Message):
    __slots__ = ("dag_id", "run_id", "task_ids", "page_size", "page_token")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    run_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    page_size: int
    page_token: str
    def __init__(self, dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetTaskStatesResponse(_message.Message):
    __slots__ = ("instances", "next_page_token")
    class InstanceState(_message.Message):
        __slots__ = ("key", "state")
        KEY_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        key: _lease_pb2.TaskInstanceKey
        state: str
        def __init__(self, key: _Optional[_Union[_lease_pb2.TaskInstanceKey, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[GetTaskStatesResponse.InstanceState]
    next_page_token: str
    def __init__(self, instances: _Optional[_Iterable[_Union[GetTaskStatesResponse.InstanceState, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StateOwner(_message.Message):
    __slots__ = ("asset",)
    ASSET_FIELD_NUMBER: _ClassVar[int]
    asset: _schedule_pb2.AssetReference
    def __init__(self, asset: _Optional[_Union[_schedule_pb2.AssetReference, _Mapping]] = ...) -> None: ...

class GetStateRequest(_message.Message):
    __slots__ = ("owner", "key")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    owner: StateOwner
    key: str
    def __init__(self, owner: _Optional[_Union[StateOwner, _Mapping]] = ..., key: _Optional[str] = ...) -> None: ...

class GetStateResponse(_message.Message):
    __slots__ = ("value", "revision")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    value: _value_pb2.Payload
    revision: int
    def __init__(self, value: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class SetStateRequest(_message.Message):
    __slots__ = ("owner", "write", "expected_revision", "request_id")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    WRITE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    owner: StateOwner
    write: _outcome_pb2.StateWrite
    expected_revision: int
    request_id: str
    def __init__(self, owner: _Optional[_Union[StateOwner, _Mapping]] = ..., write: _Optional[_Union[_outcome_pb2.StateWrite, _Mapping]] = ..., expected_revision: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetStateResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ListAssetEventsRequest(_message.Message):
    __slots__ = ("asset", "after_time", "partition_key", "page_size", "page_token", "of_run")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AFTER_TIME_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OF_RUN_FIELD_NUMBER: _ClassVar[int]
    asset: _schedule_pb2.AssetReference
    after_time: _timestamp_pb2.Timestamp
    partition_key: str
    page_size: int
    page_token: str
    of_run: bool
    def __init__(self, asset: _Optional[_Union[_schedule_pb2.AssetReference, _Mapping]] = ..., after_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., partition_key: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., of_run: bool = ...) -> None: ...

class ListAssetEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[RecordedAssetEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[RecordedAssetEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RecordedAssetEvent(_message.Message):
    __slots__ = ("event", "event_time", "source")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    event: _outcome_pb2.AssetEvent
    event_time: _timestamp_pb2.Timestamp
    source: _lease_pb2.TaskInstanceKey
    def __init__(self, event: _Optional[_Union[_outcome_pb2.AssetEvent, _Mapping]] = ..., event_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[_Union[_lease_pb2.TaskInstanceKey, _Mapping]] = ...) -> None: ...

class EmitAssetEventRequest(_message.Message):
    __slots__ = ("event", "request_id")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    event: _outcome_pb2.AssetEvent
    request_id: str
    def __init__(self, event: _Optional[_Union[_outcome_pb2.AssetEvent, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class EmitAssetEventResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInputResponseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInputResponseResponse(_message.Message):
    __slots__ = ("answered", "chosen_options", "fields", "respondent", "answer_time")
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    RESPONDENT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TIME_FIELD_NUMBER: _ClassVar[int]
    answered: bool
    chosen_options: _containers.RepeatedScalarFieldContainer[str]
    fields: _value_pb2.Payload
    respondent: str
    answer_time: _timestamp_pb2.Timestamp
    def __init__(self, answered: bool = ..., chosen_options: _Optional[_Iterable[str]] = ..., fields: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., respondent: _Optional[str] = ..., answer_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

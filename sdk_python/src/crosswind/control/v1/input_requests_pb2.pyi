from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputRequestState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_REQUEST_STATE_UNSPECIFIED: _ClassVar[InputRequestState]
    INPUT_REQUEST_STATE_OPEN: _ClassVar[InputRequestState]
    INPUT_REQUEST_STATE_ANSWERED: _ClassVar[InputRequestState]
    INPUT_REQUEST_STATE_EXPIRED: _ClassVar[InputRequestState]
    INPUT_REQUEST_STATE_CANCELLED: _ClassVar[InputRequestState]
INPUT_REQUEST_STATE_UNSPECIFIED: InputRequestState
INPUT_REQUEST_STATE_OPEN: InputRequestState
INPUT_REQUEST_STATE_ANSWERED: InputRequestState
INPUT_REQUEST_STATE_EXPIRED: InputRequestState
INPUT_REQUEST_STATE_CANCELLED: InputRequestState

class InputRequest(_message.Message):
    __slots__ = ("input_request_id", "state", "dag_id", "run_id", "task_id", "map_index", "subject", "body", "options", "default_options", "multiple", "fields_schema_json", "respondents", "create_time", "expire_time", "answer")
    INPUT_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    RESPONDENTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    input_request_id: str
    state: InputRequestState
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    body: str
    options: _containers.RepeatedScalarFieldContainer[str]
    default_options: _containers.RepeatedScalarFieldContainer[str]
    multiple: bool
    fields_schema_json: str
    respondents: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    answer: InputAnswer
    def __init__(self, input_request_id: _Optional[str] = ..., state: _Optional[_Union[InputRequestState, str]] = ..., dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., map_index: _Optional[int] = ..., subject: _Optional[str] = ..., body: _Optional[str] = ..., options: _Optional[_Iterable[str]] = ..., default_options: _Optional[_Iterable[str]] = ..., multiple: bool = ..., fields_schema_json: _Optional[str] = ..., respondents: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., answer: _Optional[_Union[InputAnswer, _Mapping]] = ...) -> None: ...

class InputAnswer(_message.Message):
    __slots__ = ("chosen_options", "fields", "respondent", "answer_time")
    CHOSEN_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    RESPONDENT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TIME_FIELD_NUMBER: _ClassVar[int]
    chosen_options: _containers.RepeatedScalarFieldContainer[str]
    fields: _value_pb2.Payload
    respondent: str
    answer_time: _timestamp_pb2.Timestamp
    def __init__(self, chosen_options: _Optional[_Iterable[str]] = ..., fields: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., respondent: _Optional[str] = ..., answer_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListInputRequestsRequest(_message.Message):
    __slots__ = ("states", "dag_id", "run_id", "wait", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[InputRequestState]
    dag_id: str
    run_id: str
    wait: _duration_pb2.Duration
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[InputRequestState, str]]] = ..., dag_id: _Optional[str] = ..., run_id: _Optional[str] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInputRequestsResponse(_message.Message):
    __slots__ = ("input_requests", "next_page_token")
    INPUT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    input_requests: _containers.RepeatedCompositeFieldContainer[InputRequest]
    next_page_token: str
    def __init__(self, input_requests: _Optional[_Iterable[_Union[InputRequest, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AnswerInputRequestRequest(_message.Message):
    __slots__ = ("input_request_id", "chosen_options", "fields", "request_id")
    INPUT_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    input_request_id: str
    chosen_options: _containers.RepeatedScalarFieldContainer[str]
    fields: _value_pb2.Payload
    request_id: str
    def __init__(self, input_request_id: _Optional[str] = ..., chosen_options: _Optional[_Iterable[str]] = ..., fields: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AnswerInputRequestResponse(_message.Message):
    __slots__ = ("input_request",)
    INPUT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    input_request: InputRequest
    def __init__(self, input_request: _Optional[_Union[InputRequest, _Mapping]] = ...) -> None: ...

from crosswind.control.v1 import states_pb2 as _states_pb2
from crosswind.execution.v1 import worker_service_pb2 as _worker_service_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Worker(_message.Message):
    __slots__ = ("name", "instance_id", "state", "paused", "language", "language_version", "sdk_version", "api_version", "runtimes", "roles", "queues", "slots", "used_slots", "labels", "bundles", "register_time", "last_heartbeat_time", "host", "address", "process_id", "memory_bytes", "load", "pending_outcomes", "moving")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OfferedBundle(_message.Message):
        __slots__ = ("bundle", "bundle_version", "current", "api_version")
        BUNDLE_FIELD_NUMBER: _ClassVar[int]
        BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
        CURRENT_FIELD_NUMBER: _ClassVar[int]
        API_VERSION_FIELD_NUMBER: _ClassVar[int]
        bundle: str
        bundle_version: str
        current: bool
        api_version: str
        def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., current: bool = ..., api_version: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    USED_SLOTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    REGISTER_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_TIME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    PENDING_OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    MOVING_FIELD_NUMBER: _ClassVar[int]
    name: str
    instance_id: str
    state: _states_pb2.WorkerState
    paused: bool
    language: str
    language_version: str
    sdk_version: str
    api_version: str
    runtimes: _containers.RepeatedScalarFieldContainer[str]
    roles: _containers.RepeatedScalarFieldContainer[_worker_service_pb2.WorkerRole]
    queues: _containers.RepeatedScalarFieldContainer[str]
    slots: int
    used_slots: int
    labels: _containers.ScalarMap[str, str]
    bundles: _containers.RepeatedCompositeFieldContainer[Worker.OfferedBundle]
    register_time: _timestamp_pb2.Timestamp
    last_heartbeat_time: _timestamp_pb2.Timestamp
    host: str
    address: str
    process_id: int
    memory_bytes: int
    load: float
    pending_outcomes: int
    moving: bool
    def __init__(self, name: _Optional[str] = ..., instance_id: _Optional[str] = ..., state: _Optional[_Union[_states_pb2.WorkerState, str]] = ..., paused: bool = ..., language: _Optional[str] = ..., language_version: _Optional[str] = ..., sdk_version: _Optional[str] = ..., api_version: _Optional[str] = ..., runtimes: _Optional[_Iterable[str]] = ..., roles: _Optional[_Iterable[_Union[_worker_service_pb2.WorkerRole, str]]] = ..., queues: _Optional[_Iterable[str]] = ..., slots: _Optional[int] = ..., used_slots: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., bundles: _Optional[_Iterable[_Union[Worker.OfferedBundle, _Mapping]]] = ..., register_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_heartbeat_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., host: _Optional[str] = ..., address: _Optional[str] = ..., process_id: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., load: _Optional[float] = ..., pending_outcomes: _Optional[int] = ..., moving: bool = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("states", "bundle", "queue", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_states_pb2.WorkerState]
    bundle: str
    queue: str
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[_states_pb2.WorkerState, str]]] = ..., bundle: _Optional[str] = ..., queue: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers", "next_page_token")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    next_page_token: str
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetWorkerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class DrainWorkerRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DrainWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class PauseWorkerRequest(_message.Message):
    __slots__ = ("name", "paused", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    paused: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., paused: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class PauseWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class MoveWorkerRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class MoveWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

from crosswind.execution.v1 import lease_pb2 as _lease_pb2
from crosswind.execution.v1 import logs_pb2 as _logs_pb2
from crosswind.execution.v1 import outcome_pb2 as _outcome_pb2
from crosswind.manifest.v1 import bundle_pb2 as _bundle_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_ROLE_UNSPECIFIED: _ClassVar[WorkerRole]
    WORKER_ROLE_TASKS: _ClassVar[WorkerRole]
    WORKER_ROLE_TRIGGERS: _ClassVar[WorkerRole]
WORKER_ROLE_UNSPECIFIED: WorkerRole
WORKER_ROLE_TASKS: WorkerRole
WORKER_ROLE_TRIGGERS: WorkerRole

class NegotiateRequest(_message.Message):
    __slots__ = ("api_versions", "client")
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    client: str
    def __init__(self, api_versions: _Optional[_Iterable[str]] = ..., client: _Optional[str] = ...) -> None: ...

class NegotiateResponse(_message.Message):
    __slots__ = ("newest_api_version", "oldest_api_version", "chosen_api_version", "server_version", "limits", "capabilities", "api_versions")
    NEWEST_API_VERSION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_API_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_API_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    newest_api_version: str
    oldest_api_version: str
    chosen_api_version: str
    server_version: str
    limits: Limits
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, newest_api_version: _Optional[str] = ..., oldest_api_version: _Optional[str] = ..., chosen_api_version: _Optional[str] = ..., server_version: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., capabilities: _Optional[_Iterable[str]] = ..., api_versions: _Optional[_Iterable[str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_inline_value_bytes", "max_blob_bytes", "max_log_chunk_bytes")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_INLINE_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BLOB_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_LOG_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_inline_value_bytes: int
    max_blob_bytes: int
    max_log_chunk_bytes: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_inline_value_bytes: _Optional[int] = ..., max_blob_bytes: _Optional[int] = ..., max_log_chunk_bytes: _Optional[int] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("heartbeat_interval", "lease_duration", "start_deadline", "poll_wait", "keepalive_interval", "backoff_initial", "backoff_max", "log_flush_interval")
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    START_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    POLL_WAIT_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_INITIAL_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_MAX_FIELD_NUMBER: _ClassVar[int]
    LOG_FLUSH_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    heartbeat_interval: _duration_pb2.Duration
    lease_duration: _duration_pb2.Duration
    start_deadline: _duration_pb2.Duration
    poll_wait: _duration_pb2.Duration
    keepalive_interval: _duration_pb2.Duration
    backoff_initial: _duration_pb2.Duration
    backoff_max: _duration_pb2.Duration
    log_flush_interval: _duration_pb2.Duration
    def __init__(self, heartbeat_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., lease_duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., start_deadline: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., poll_wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., keepalive_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., backoff_initial: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., backoff_max: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., log_flush_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RegisterWorkerRequest(_message.Message):
    __slots__ = ("name", "instance_id", "previous_instance_id", "previous_token", "sdk", "runtimes", "queues", "slots", "labels", "bundles", "roles", "host", "process_id", "held_attempt_ids")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    HELD_ATTEMPT_IDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    instance_id: str
    previous_instance_id: str
    previous_token: str
    sdk: _bundle_pb2.Sdk
    runtimes: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    slots: int
    labels: _containers.ScalarMap[str, str]
    bundles: _containers.RepeatedCompositeFieldContainer[BundleOffer]
    roles: _containers.RepeatedScalarFieldContainer[WorkerRole]
    host: str
    process_id: int
    held_attempt_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., instance_id: _Optional[str] = ..., previous_instance_id: _Optional[str] = ..., previous_token: _Optional[str] = ..., sdk: _Optional[_Union[_bundle_pb2.Sdk, _Mapping]] = ..., runtimes: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., slots: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., bundles: _Optional[_Iterable[_Union[BundleOffer, _Mapping]]] = ..., roles: _Optional[_Iterable[_Union[WorkerRole, str]]] = ..., host: _Optional[str] = ..., process_id: _Optional[int] = ..., held_attempt_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BundleOffer(_message.Message):
    __slots__ = ("bundle", "bundle_version", "manifest", "more")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    manifest: _bundle_pb2.Manifest
    more: bool
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., manifest: _Optional[_Union[_bundle_pb2.Manifest, _Mapping]] = ..., more: bool = ...) -> None: ...

class RegisterWorkerResponse(_message.Message):
    __slots__ = ("worker_token", "token_expire_time", "timing", "limits", "offers")
    WORKER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    worker_token: str
    token_expire_time: _timestamp_pb2.Timestamp
    timing: Timing
    limits: Limits
    offers: _containers.RepeatedCompositeFieldContainer[OfferResult]
    def __init__(self, worker_token: _Optional[str] = ..., token_expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., offers: _Optional[_Iterable[_Union[OfferResult, _Mapping]]] = ...) -> None: ...

class OfferResult(_message.Message):
    __slots__ = ("bundle", "bundle_version", "known", "current", "refused")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    known: bool
    current: bool
    refused: _containers.RepeatedCompositeFieldContainer[RefusedDag]
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ..., known: bool = ..., current: bool = ..., refused: _Optional[_Iterable[_Union[RefusedDag, _Mapping]]] = ...) -> None: ...

class RefusedDag(_message.Message):
    __slots__ = ("dag_id", "reason", "message")
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    dag_id: str
    reason: str
    message: str
    def __init__(self, dag_id: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class PublishBundleRequest(_message.Message):
    __slots__ = ("instance_id", "offer", "withdrawn", "observed_change")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_CHANGE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    offer: BundleOffer
    withdrawn: _containers.RepeatedCompositeFieldContainer[BundleOffer]
    observed_change: bool
    def __init__(self, instance_id: _Optional[str] = ..., offer: _Optional[_Union[BundleOffer, _Mapping]] = ..., withdrawn: _Optional[_Iterable[_Union[BundleOffer, _Mapping]]] = ..., observed_change: bool = ...) -> None: ...

class PublishBundleResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: OfferResult
    def __init__(self, result: _Optional[_Union[OfferResult, _Mapping]] = ...) -> None: ...

class PollWorkRequest(_message.Message):
    __slots__ = ("instance_id", "poll_number", "held_attempt_ids", "max_leases", "wait", "known_directives")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    POLL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELD_ATTEMPT_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_LEASES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    poll_number: int
    held_attempt_ids: _containers.RepeatedScalarFieldContainer[str]
    max_leases: int
    wait: _duration_pb2.Duration
    known_directives: str
    def __init__(self, instance_id: _Optional[str] = ..., poll_number: _Optional[int] = ..., held_attempt_ids: _Optional[_Iterable[str]] = ..., max_leases: _Optional[int] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., known_directives: _Optional[str] = ...) -> None: ...

class PollWorkResponse(_message.Message):
    __slots__ = ("leases", "directives", "directives_digest")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_DIGEST_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_lease_pb2.Lease]
    directives: _containers.RepeatedCompositeFieldContainer[Directive]
    directives_digest: str
    def __init__(self, leases: _Optional[_Iterable[_Union[_lease_pb2.Lease, _Mapping]]] = ..., directives: _Optional[_Iterable[_Union[Directive, _Mapping]]] = ..., directives_digest: _Optional[str] = ...) -> None: ...

class Directive(_message.Message):
    __slots__ = ("cancel", "drain", "move_away", "retire_bundle", "lost", "pause")
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    MOVE_AWAY_FIELD_NUMBER: _ClassVar[int]
    RETIRE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    cancel: CancelDirective
    drain: DrainDirective
    move_away: MoveAwayDirective
    retire_bundle: RetireBundleDirective
    lost: LostDirective
    pause: PauseDirective
    def __init__(self, cancel: _Optional[_Union[CancelDirective, _Mapping]] = ..., drain: _Optional[_Union[DrainDirective, _Mapping]] = ..., move_away: _Optional[_Union[MoveAwayDirective, _Mapping]] = ..., retire_bundle: _Optional[_Union[RetireBundleDirective, _Mapping]] = ..., lost: _Optional[_Union[LostDirective, _Mapping]] = ..., pause: _Optional[_Union[PauseDirective, _Mapping]] = ...) -> None: ...

class CancelDirective(_message.Message):
    __slots__ = ("attempt_id", "reason")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    reason: str
    def __init__(self, attempt_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DrainDirective(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MoveAwayDirective(_message.Message):
    __slots__ = ("grace",)
    GRACE_FIELD_NUMBER: _ClassVar[int]
    grace: _duration_pb2.Duration
    def __init__(self, grace: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RetireBundleDirective(_message.Message):
    __slots__ = ("bundle", "bundle_version")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    bundle_version: str
    def __init__(self, bundle: _Optional[str] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class LostDirective(_message.Message):
    __slots__ = ("attempt_id",)
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    def __init__(self, attempt_id: _Optional[str] = ...) -> None: ...

class PauseDirective(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("instance_id", "attempts", "usage")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    attempts: _containers.RepeatedCompositeFieldContainer[_lease_pb2.AttemptRef]
    usage: WorkerUsage
    def __init__(self, instance_id: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[_lease_pb2.AttemptRef, _Mapping]]] = ..., usage: _Optional[_Union[WorkerUsage, _Mapping]] = ...) -> None: ...

class WorkerUsage(_message.Message):
    __slots__ = ("used_slots", "memory_bytes", "load", "pending_outcomes")
    USED_SLOTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    PENDING_OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    used_slots: int
    memory_bytes: int
    load: float
    pending_outcomes: int
    def __init__(self, used_slots: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., load: _Optional[float] = ..., pending_outcomes: _Optional[int] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("verdicts", "directives", "worker_token")
    class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VERDICT_UNSPECIFIED: _ClassVar[HeartbeatResponse.Verdict]
        VERDICT_CONTINUE: _ClassVar[HeartbeatResponse.Verdict]
        VERDICT_CANCEL: _ClassVar[HeartbeatResponse.Verdict]
        VERDICT_LOST: _ClassVar[HeartbeatResponse.Verdict]
    VERDICT_UNSPECIFIED: HeartbeatResponse.Verdict
    VERDICT_CONTINUE: HeartbeatResponse.Verdict
    VERDICT_CANCEL: HeartbeatResponse.Verdict
    VERDICT_LOST: HeartbeatResponse.Verdict
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    WORKER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedScalarFieldContainer[HeartbeatResponse.Verdict]
    directives: _containers.RepeatedCompositeFieldContainer[Directive]
    worker_token: str
    def __init__(self, verdicts: _Optional[_Iterable[_Union[HeartbeatResponse.Verdict, str]]] = ..., directives: _Optional[_Iterable[_Union[Directive, _Mapping]]] = ..., worker_token: _Optional[str] = ...) -> None: ...

class StartAttemptRequest(_message.Message):
    __slots__ = ("attempt", "instance_id")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    attempt: _lease_pb2.AttemptRef
    instance_id: str
    def __init__(self, attempt: _Optional[_Union[_lease_pb2.AttemptRef, _Mapping]] = ..., instance_id: _Optional[str] = ...) -> None: ...

class StartAttemptResponse(_message.Message):
    __slots__ = ("context", "lease_duration")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    context: _lease_pb2.TaskContext
    lease_duration: _duration_pb2.Duration
    def __init__(self, context: _Optional[_Union[_lease_pb2.TaskContext, _Mapping]] = ..., lease_duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FinishAttemptRequest(_message.Message):
    __slots__ = ("attempt", "outcome_id", "outcome", "log_chunks", "end_time", "usage")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LOG_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    attempt: _lease_pb2.AttemptRef
    outcome_id: str
    outcome: _outcome_pb2.Outcome
    log_chunks: _containers.RepeatedCompositeFieldContainer[_logs_pb2.LogChunk]
    end_time: _timestamp_pb2.Timestamp
    usage: ResourceUsage
    def __init__(self, attempt: _Optional[_Union[_lease_pb2.AttemptRef, _Mapping]] = ..., outcome_id: _Optional[str] = ..., outcome: _Optional[_Union[_outcome_pb2.Outcome, _Mapping]] = ..., log_chunks: _Optional[_Iterable[_Union[_logs_pb2.LogChunk, _Mapping]]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., usage: _Optional[_Union[ResourceUsage, _Mapping]] = ...) -> None: ...

class ResourceUsage(_message.Message):
    __slots__ = ("cpu_time", "max_memory_bytes")
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpu_time: _duration_pb2.Duration
    max_memory_bytes: int
    def __init__(self, cpu_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_memory_bytes: _Optional[int] = ...) -> None: ...

class FinishAttemptResponse(_message.Message):
    __slots__ = ("recorded_as_cancelled", "next_log_sequence")
    RECORDED_AS_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    NEXT_LOG_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    recorded_as_cancelled: bool
    next_log_sequence: int
    def __init__(self, recorded_as_cancelled: bool = ..., next_log_sequence: _Optional[int] = ...) -> None: ...

class AppendLogsRequest(_message.Message):
    __slots__ = ("logs",)
    LOGS_FIELD_NUMBER: _ClassVar[int]
    logs: _containers.RepeatedCompositeFieldContainer[AttemptLogs]
    def __init__(self, logs: _Optional[_Iterable[_Union[AttemptLogs, _Mapping]]] = ...) -> None: ...

class AttemptLogs(_message.Message):
    __slots__ = ("attempt", "chunks")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    attempt: _lease_pb2.AttemptRef
    chunks: _containers.RepeatedCompositeFieldContainer[_logs_pb2.LogChunk]
    def __init__(self, attempt: _Optional[_Union[_lease_pb2.AttemptRef, _Mapping]] = ..., chunks: _Optional[_Iterable[_Union[_logs_pb2.LogChunk, _Mapping]]] = ...) -> None: ...

class AppendLogsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LogResult]
    def __init__(self, results: _Optional[_Iterable[_Union[LogResult, _Mapping]]] = ...) -> None: ...

class LogResult(_message.Message):
    __slots__ = ("next_sequence", "closed")
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    next_sequence: int
    closed: bool
    def __init__(self, next_sequence: _Optional[int] = ..., closed: bool = ...) -> None: ...

class DeregisterWorkerRequest(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class DeregisterWorkerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

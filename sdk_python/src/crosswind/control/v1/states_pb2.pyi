from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_QUEUED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_CANCELLING: _ClassVar[RunState]
    RUN_STATE_SUCCEEDED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]

class RunType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_TYPE_UNSPECIFIED: _ClassVar[RunType]
    RUN_TYPE_MANUAL: _ClassVar[RunType]
    RUN_TYPE_SCHEDULED: _ClassVar[RunType]
    RUN_TYPE_BACKFILL: _ClassVar[RunType]
    RUN_TYPE_ASSET: _ClassVar[RunType]

class TaskState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STATE_UNSPECIFIED: _ClassVar[TaskState]
    TASK_STATE_WAITING: _ClassVar[TaskState]
    TASK_STATE_QUEUED: _ClassVar[TaskState]
    TASK_STATE_ASSIGNED: _ClassVar[TaskState]
    TASK_STATE_RUNNING: _ClassVar[TaskState]
    TASK_STATE_CANCELLING: _ClassVar[TaskState]
    TASK_STATE_UP_FOR_RETRY: _ClassVar[TaskState]
    TASK_STATE_UP_FOR_RESCHEDULE: _ClassVar[TaskState]
    TASK_STATE_DEFERRED: _ClassVar[TaskState]
    TASK_STATE_AWAITING_INPUT: _ClassVar[TaskState]
    TASK_STATE_EXPANDED: _ClassVar[TaskState]
    TASK_STATE_SUCCEEDED: _ClassVar[TaskState]
    TASK_STATE_FAILED: _ClassVar[TaskState]
    TASK_STATE_SKIPPED: _ClassVar[TaskState]
    TASK_STATE_UPSTREAM_FAILED: _ClassVar[TaskState]
    TASK_STATE_CANCELLED: _ClassVar[TaskState]
    TASK_STATE_REMOVED: _ClassVar[TaskState]

class AttemptState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_STATE_UNSPECIFIED: _ClassVar[AttemptState]
    ATTEMPT_STATE_ASSIGNED: _ClassVar[AttemptState]
    ATTEMPT_STATE_RUNNING: _ClassVar[AttemptState]
    ATTEMPT_STATE_CANCELLING: _ClassVar[AttemptState]
    ATTEMPT_STATE_SUCCEEDED: _ClassVar[AttemptState]
    ATTEMPT_STATE_FAILED: _ClassVar[AttemptState]
    ATTEMPT_STATE_SKIPPED: _ClassVar[AttemptState]
    ATTEMPT_STATE_DEFERRED: _ClassVar[AttemptState]
    ATTEMPT_STATE_RESCHEDULED: _ClassVar[AttemptState]
    ATTEMPT_STATE_AWAITING_INPUT: _ClassVar[AttemptState]
    ATTEMPT_STATE_CANCELLED: _ClassVar[AttemptState]
    ATTEMPT_STATE_LOST: _ClassVar[AttemptState]
    ATTEMPT_STATE_RETURNED: _ClassVar[AttemptState]

class WaitingReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAITING_REASON_UNSPECIFIED: _ClassVar[WaitingReason]
    WAITING_REASON_UPSTREAM: _ClassVar[WaitingReason]
    WAITING_REASON_POOL: _ClassVar[WaitingReason]
    WAITING_REASON_SLOTS: _ClassVar[WaitingReason]
    WAITING_REASON_NO_WORKER: _ClassVar[WaitingReason]
    WAITING_REASON_PAUSED: _ClassVar[WaitingReason]
    WAITING_REASON_NOT_BEFORE: _ClassVar[WaitingReason]
    WAITING_REASON_CONCURRENCY: _ClassVar[WaitingReason]
    WAITING_REASON_CANCEL_PENDING: _ClassVar[WaitingReason]
    WAITING_REASON_QUEUE: _ClassVar[WaitingReason]
    WAITING_REASON_PAST: _ClassVar[WaitingReason]
    WAITING_REASON_TRIGGER: _ClassVar[WaitingReason]
    WAITING_REASON_INPUT: _ClassVar[WaitingReason]
    WAITING_REASON_RUN: _ClassVar[WaitingReason]
    WAITING_REASON_LABELS: _ClassVar[WaitingReason]

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_ACTIVE: _ClassVar[WorkerState]
    WORKER_STATE_DRAINING: _ClassVar[WorkerState]
    WORKER_STATE_SUPERSEDED: _ClassVar[WorkerState]
    WORKER_STATE_LOST: _ClassVar[WorkerState]
    WORKER_STATE_GONE: _ClassVar[WorkerState]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_QUEUED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_CANCELLING: RunState
RUN_STATE_SUCCEEDED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState
RUN_TYPE_UNSPECIFIED: RunType
RUN_TYPE_MANUAL: RunType
RUN_TYPE_SCHEDULED: RunType
RUN_TYPE_BACKFILL: RunType
RUN_TYPE_ASSET: RunType
TASK_STATE_UNSPECIFIED: TaskState
TASK_STATE_WAITING: TaskState
TASK_STATE_QUEUED: TaskState
TASK_STATE_ASSIGNED: TaskState
TASK_STATE_RUNNING: TaskState
TASK_STATE_CANCELLING: TaskState
TASK_STATE_UP_FOR_RETRY: TaskState
TASK_STATE_UP_FOR_RESCHEDULE: TaskState
TASK_STATE_DEFERRED: TaskState
TASK_STATE_AWAITING_INPUT: TaskState
TASK_STATE_EXPANDED: TaskState
TASK_STATE_SUCCEEDED: TaskState
TASK_STATE_FAILED: TaskState
TASK_STATE_SKIPPED: TaskState
TASK_STATE_UPSTREAM_FAILED: TaskState
TASK_STATE_CANCELLED: TaskState
TASK_STATE_REMOVED: TaskState
ATTEMPT_STATE_UNSPECIFIED: AttemptState
ATTEMPT_STATE_ASSIGNED: AttemptState
ATTEMPT_STATE_RUNNING: AttemptState
ATTEMPT_STATE_CANCELLING: AttemptState
ATTEMPT_STATE_SUCCEEDED: AttemptState
ATTEMPT_STATE_FAILED: AttemptState
ATTEMPT_STATE_SKIPPED: AttemptState
ATTEMPT_STATE_DEFERRED: AttemptState
ATTEMPT_STATE_RESCHEDULED: AttemptState
ATTEMPT_STATE_AWAITING_INPUT: AttemptState
ATTEMPT_STATE_CANCELLED: AttemptState
ATTEMPT_STATE_LOST: AttemptState
ATTEMPT_STATE_RETURNED: AttemptState
WAITING_REASON_UNSPECIFIED: WaitingReason
WAITING_REASON_UPSTREAM: WaitingReason
WAITING_REASON_POOL: WaitingReason
WAITING_REASON_SLOTS: WaitingReason
WAITING_REASON_NO_WORKER: WaitingReason
WAITING_REASON_PAUSED: WaitingReason
WAITING_REASON_NOT_BEFORE: WaitingReason
WAITING_REASON_CONCURRENCY: WaitingReason
WAITING_REASON_CANCEL_PENDING: WaitingReason
WAITING_REASON_QUEUE: WaitingReason
WAITING_REASON_PAST: WaitingReason
WAITING_REASON_TRIGGER: WaitingReason
WAITING_REASON_INPUT: WaitingReason
WAITING_REASON_RUN: WaitingReason
WAITING_REASON_LABELS: WaitingReason
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_ACTIVE: WorkerState
WORKER_STATE_DRAINING: WorkerState
WORKER_STATE_SUPERSEDED: WorkerState
WORKER_STATE_LOST: WorkerState
WORKER_STATE_GONE: WorkerState

class TaskStateCount(_message.Message):
    __slots__ = ("state", "count")
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    state: TaskState
    count: int
    def __init__(self, state: _Optional[_Union[TaskState, str]] = ..., count: _Optional[int] = ...) -> None: ...

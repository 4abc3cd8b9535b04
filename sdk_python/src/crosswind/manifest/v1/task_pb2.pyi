from crosswind.manifest.v1 import retry_pb2 as _retry_pb2
from crosswind.manifest.v1 import schedule_pb2 as _schedule_pb2
from crosswind.options.v1 import options_pb2 as _options_pb2
from crosswind.value.v1 import value_pb2 as _value_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_KIND_UNSPECIFIED: _ClassVar[TaskKind]
    TASK_KIND_NORMAL: _ClassVar[TaskKind]
    TASK_KIND_BRANCH: _ClassVar[TaskKind]
    TASK_KIND_SHORT_CIRCUIT: _ClassVar[TaskKind]
    TASK_KIND_SENSOR: _ClassVar[TaskKind]
    TASK_KIND_SETUP: _ClassVar[TaskKind]
    TASK_KIND_TEARDOWN: _ClassVar[TaskKind]
    TASK_KIND_LATEST_ONLY: _ClassVar[TaskKind]

class TriggerRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIGGER_RULE_UNSPECIFIED: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALL_SUCCESS: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALL_FAILED: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALL_DONE: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALL_DONE_MIN_ONE_SUCCESS: _ClassVar[TriggerRule]
    TRIGGER_RULE_ONE_SUCCESS: _ClassVar[TriggerRule]
    TRIGGER_RULE_ONE_FAILED: _ClassVar[TriggerRule]
    TRIGGER_RULE_ONE_DONE: _ClassVar[TriggerRule]
    TRIGGER_RULE_NONE_FAILED: _ClassVar[TriggerRule]
    TRIGGER_RULE_NONE_FAILED_MIN_ONE_SUCCESS: _ClassVar[TriggerRule]
    TRIGGER_RULE_NONE_SKIPPED: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALWAYS: _ClassVar[TriggerRule]
    TRIGGER_RULE_ALL_SKIPPED: _ClassVar[TriggerRule]

class PartitionPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTITION_POLICY_UNSPECIFIED: _ClassVar[PartitionPolicy]
    PARTITION_POLICY_CONTINUE: _ClassVar[PartitionPolicy]
    PARTITION_POLICY_KILL: _ClassVar[PartitionPolicy]

class Isolation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ISOLATION_UNSPECIFIED: _ClassVar[Isolation]
    ISOLATION_SHARED: _ClassVar[Isolation]
    ISOLATION_PROCESS: _ClassVar[Isolation]

class DependsOnPast(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEPENDS_ON_PAST_UNSPECIFIED: _ClassVar[DependsOnPast]
    DEPENDS_ON_PAST_SELF: _ClassVar[DependsOnPast]
    DEPENDS_ON_PAST_DOWNSTREAM: _ClassVar[DependsOnPast]
TASK_KIND_UNSPECIFIED: TaskKind
TASK_KIND_NORMAL: TaskKind
TASK_KIND_BRANCH: TaskKind
TASK_KIND_SHORT_CIRCUIT: TaskKind
TASK_KIND_SENSOR: TaskKind
TASK_KIND_SETUP: TaskKind
TASK_KIND_TEARDOWN: TaskKind
TASK_KIND_LATEST_ONLY: TaskKind
TRIGGER_RULE_UNSPECIFIED: TriggerRule
TRIGGER_RULE_ALL_SUCCESS: TriggerRule
TRIGGER_RULE_ALL_FAILED: TriggerRule
TRIGGER_RULE_ALL_DONE: TriggerRule
TRIGGER_RULE_ALL_DONE_MIN_ONE_SUCCESS: TriggerRule
TRIGGER_RULE_ONE_SUCCESS: TriggerRule
TRIGGER_RULE_ONE_FAILED: TriggerRule
TRIGGER_RULE_ONE_DONE: TriggerRule
TRIGGER_RULE_NONE_FAILED: TriggerRule
TRIGGER_RULE_NONE_FAILED_MIN_ONE_SUCCESS: TriggerRule
TRIGGER_RULE_NONE_SKIPPED: TriggerRule
TRIGGER_RULE_ALWAYS: TriggerRule
TRIGGER_RULE_ALL_SKIPPED: TriggerRule
PARTITION_POLICY_UNSPECIFIED: PartitionPolicy
PARTITION_POLICY_CONTINUE: PartitionPolicy
PARTITION_POLICY_KILL: PartitionPolicy
ISOLATION_UNSPECIFIED: Isolation
ISOLATION_SHARED: Isolation
ISOLATION_PROCESS: Isolation
DEPENDS_ON_PAST_UNSPECIFIED: DependsOnPast
DEPENDS_ON_PAST_SELF: DependsOnPast
DEPENDS_ON_PAST_DOWNSTREAM: DependsOnPast

class Task(_message.Message):
    __slots__ = ("task_id", "display_name", "doc_md", "entry_point", "reference", "kind", "upstream", "trigger_rule", "inputs", "mapping", "retry", "execution_timeout", "cancel_grace", "queue", "slots", "pool", "pool_slots", "priority", "worker_labels", "group_id", "on_partition", "isolation", "variables", "connections", "inlets", "outlets", "output_names", "depends_on_past", "max_active_instances", "max_active_instances_per_run", "callbacks", "language", "map_index_template", "setup_task_ids", "on_failure_fail_run")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DOC_MD_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_RULE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_GRACE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    POOL_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WORKER_LABELS_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    ON_PARTITION_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    INLETS_FIELD_NUMBER: _ClassVar[int]
    OUTLETS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAMES_FIELD_NUMBER: _ClassVar[int]
    DEPENDS_ON_PAST_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    MAX_ACTIVE_INSTANCES_PER_RUN_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MAP_INDEX_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    SETUP_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FAIL_RUN_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    display_name: str
    doc_md: str
    entry_point: str
    reference: TaskReference
    kind: TaskKind
    upstream: _containers.RepeatedCompositeFieldContainer[Edge]
    trigger_rule: TriggerRule
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    mapping: Mapping
    retry: _retry_pb2.RetryPolicy
    execution_timeout: _duration_pb2.Duration
    cancel_grace: _duration_pb2.Duration
    queue: str
    slots: int
    pool: str
    pool_slots: int
    priority: int
    worker_labels: _containers.RepeatedCompositeFieldContainer[LabelSelector]
    group_id: str
    on_partition: PartitionPolicy
    isolation: Isolation
    variables: _containers.RepeatedScalarFieldContainer[str]
    connections: _containers.RepeatedScalarFieldContainer[str]
    inlets: _containers.RepeatedCompositeFieldContainer[_schedule_pb2.AssetReference]
    outlets: _containers.RepeatedCompositeFieldContainer[_schedule_pb2.AssetReference]
    output_names: _containers.RepeatedScalarFieldContainer[str]
    depends_on_past: DependsOnPast
    max_active_instances: int
    max_active_instances_per_run: int
    callbacks: _containers.RepeatedCompositeFieldContainer[TaskCallback]
    language: str
    map_index_template: str
    setup_task_ids: _containers.RepeatedScalarFieldContainer[str]
    on_failure_fail_run: bool
    def __init__(self, task_id: _Optional[str] = ..., display_name: _Optional[str] = ..., doc_md: _Optional[str] = ..., entry_point: _Optional[str] = ..., reference: _Optional[_Union[TaskReference, _Mapping]] = ..., kind: _Optional[_Union[TaskKind, str]] = ..., upstream: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ..., trigger_rule: _Optional[_Union[TriggerRule, str]] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., mapping: _Optional[_Union[Mapping, _Mapping]] = ..., retry: _Optional[_Union[_retry_pb2.RetryPolicy, _Mapping]] = ..., execution_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., cancel_grace: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., queue: _Optional[str] = ..., slots: _Optional[int] = ..., pool: _Optional[str] = ..., pool_slots: _Optional[int] = ..., priority: _Optional[int] = ..., worker_labels: _Optional[_Iterable[_Union[LabelSelector, _Mapping]]] = ..., group_id: _Optional[str] = ..., on_partition: _Optional[_Union[PartitionPolicy, str]] = ..., isolation: _Optional[_Union[Isolation, str]] = ..., variables: _Optional[_Iterable[str]] = ..., connections: _Optional[_Iterable[str]] = ..., inlets: _Optional[_Iterable[_Union[_schedule_pb2.AssetReference, _Mapping]]] = ..., outlets: _Optional[_Iterable[_Union[_schedule_pb2.AssetReference, _Mapping]]] = ..., output_names: _Optional[_Iterable[str]] = ..., depends_on_past: _Optional[_Union[DependsOnPast, str]] = ..., max_active_instances: _Optional[int] = ..., max_active_instances_per_run: _Optional[int] = ..., callbacks: _Optional[_Iterable[_Union[TaskCallback, _Mapping]]] = ..., language: _Optional[str] = ..., map_index_template: _Optional[str] = ..., setup_task_ids: _Optional[_Iterable[str]] = ..., on_failure_fail_run: bool = ...) -> None: ...

class TaskReference(_message.Message):
    __slots__ = ("bundle", "entry_point")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    entry_point: str
    def __init__(self, bundle: _Optional[str] = ..., entry_point: _Optional[str] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("task_id", "label")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    label: str
    def __init__(self, task_id: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("name", "position", "literal", "output", "param", "composite", "group_item", "group_item_path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LITERAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PARAM_FIELD_NUMBER: _ClassVar[int]
    COMPOSITE_FIELD_NUMBER: _ClassVar[int]
    GROUP_ITEM_FIELD_NUMBER: _ClassVar[int]
    GROUP_ITEM_PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    position: int
    literal: _value_pb2.Payload
    output: Output
    param: str
    composite: Composite
    group_item: str
    group_item_path: _containers.RepeatedCompositeFieldContainer[Output.PathStep]
    def __init__(self, name: _Optional[str] = ..., position: _Optional[int] = ..., literal: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ..., param: _Optional[str] = ..., composite: _Optional[_Union[Composite, _Mapping]] = ..., group_item: _Optional[str] = ..., group_item_path: _Optional[_Iterable[_Union[Output.PathStep, _Mapping]]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("task_id", "key", "path")
    class PathStep(_message.Message):
        __slots__ = ("index", "name")
        INDEX_FIELD_NUMBER: _ClassVar[int]
        NAME_FIELD_NUMBER: _ClassVar[int]
        index: int
        name: str
        def __init__(self, index: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    key: str
    path: _containers.RepeatedCompositeFieldContainer[Output.PathStep]
    def __init__(self, task_id: _Optional[str] = ..., key: _Optional[str] = ..., path: _Optional[_Iterable[_Union[Output.PathStep, _Mapping]]] = ...) -> None: ...

class Composite(_message.Message):
    __slots__ = ("template_json", "parts")
    TEMPLATE_JSON_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    template_json: str
    parts: _containers.RepeatedCompositeFieldContainer[Output]
    def __init__(self, template_json: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[Output, _Mapping]]] = ...) -> None: ...

class Mapping(_message.Message):
    __slots__ = ("combination", "inputs")
    class Combination(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMBINATION_UNSPECIFIED: _ClassVar[Mapping.Combination]
        COMBINATION_CROSS: _ClassVar[Mapping.Combination]
        COMBINATION_ZIP: _ClassVar[Mapping.Combination]
        COMBINATION_KEYWORDS: _ClassVar[Mapping.Combination]
    COMBINATION_UNSPECIFIED: Mapping.Combination
    COMBINATION_CROSS: Mapping.Combination
    COMBINATION_ZIP: Mapping.Combination
    COMBINATION_KEYWORDS: Mapping.Combination
    COMBINATION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    combination: Mapping.Combination
    inputs: _containers.RepeatedCompositeFieldContainer[MappedInput]
    def __init__(self, combination: _Optional[_Union[Mapping.Combination, str]] = ..., inputs: _Optional[_Iterable[_Union[MappedInput, _Mapping]]] = ...) -> None: ...

class MappedInput(_message.Message):
    __slots__ = ("name", "position", "literal", "output")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LITERAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    position: int
    literal: _value_pb2.Payload
    output: Output
    def __init__(self, name: _Optional[str] = ..., position: _Optional[int] = ..., literal: _Optional[_Union[_value_pb2.Payload, _Mapping]] = ..., output: _Optional[_Union[Output, _Mapping]] = ...) -> None: ...

class LabelSelector(_message.Message):
    __slots__ = ("key", "value", "required")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    required: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., required: bool = ...) -> None: ...

class TaskCallback(_message.Message):
    __slots__ = ("trigger", "entry_point")
    class Trigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TRIGGER_UNSPECIFIED: _ClassVar[TaskCallback.Trigger]
        TRIGGER_SUCCESS: _ClassVar[TaskCallback.Trigger]
        TRIGGER_FAILURE: _ClassVar[TaskCallback.Trigger]
        TRIGGER_RETRY: _ClassVar[TaskCallback.Trigger]
        TRIGGER_SKIPPED: _ClassVar[TaskCallback.Trigger]
    TRIGGER_UNSPECIFIED: TaskCallback.Trigger
    TRIGGER_SUCCESS: TaskCallback.Trigger
    TRIGGER_FAILURE: TaskCallback.Trigger
    TRIGGER_RETRY: TaskCallback.Trigger
    TRIGGER_SKIPPED: TaskCallback.Trigger
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    trigger: TaskCallback.Trigger
    entry_point: str
    def __init__(self, trigger: _Optional[_Union[TaskCallback.Trigger, str]] = ..., entry_point: _Optional[str] = ...) -> None: ...

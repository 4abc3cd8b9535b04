"""Between the messages of WorkerService and the commands and answers of the services. [VER-1]

Here belongs the checking of what a message alone shows to be wrong; whether a call may be is decided by the services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast
from urllib.parse import unquote
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from crosswind.execution.v1 import lease_pb2, worker_service_pb2, xcom_pb2
from crosswind.execution.v1.failure_pb2 import Failure
from crosswind.execution.v1.logs_pb2 import LogChunk as LogChunkMessage
from crosswind.manifest.v1 import bundle_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.domain.arguments import RETURN_VALUE, StoredValue
from crosswind_server.domain.lifecycle import Event
from crosswind_server.domain.plan import ParamPlan
from crosswind_server.domain.states import Workload
from crosswind_server.rpc.landing_messages import read_emission, read_state_write
from crosswind_server.rpc.messages import invalid, required, span_us, timestamp
from crosswind_server.rpc.wake_messages import read_next_runs, read_wake
from crosswind_server.services.catalog.bundles import Manifest, Offer, OfferResult, SourceProblem
from crosswind_server.services.execution.assigning import Lease
from crosswind_server.services.execution.attempts import FinishAttempt
from crosswind_server.services.execution.contexts import (
    CompositeValue,
    Declared,
    ResolvedInput,
    TaskContext,
    ValueList,
    XComName,
)
from crosswind_server.services.execution.directives import Directive, DirectiveKind
from crosswind_server.services.execution.logs import LogChunk, check_chunks
from crosswind_server.services.execution.outcome_checks import check_values
from crosswind_server.services.execution.state_store import MAX_WRITES
from crosswind_server.services.fleet.workers import Usage, Verdict
from crosswind_server.services.flow.settlement import FailureFacts
from crosswind_server.services.runs.asset_events import MAX_EVENTS
from crosswind_server.timing import Limits, Timing

_M = worker_service_pb2
_LONGEST_MESSAGE: Final = 16 * 1024
_HIGHEST_LOAD: Final = 1_000_000.0
_LONGEST_SPAN_US: Final = 315_576_000_000 * 1_000_000
"""The longest span that a `Duration` may hold; a database's integer holds it too."""
_ROLES: Final = frozenset(_M.WorkerRole.values()) - {_M.WORKER_ROLE_UNSPECIFIED}

VERDICTS: Final = {
    Verdict.CONTINUE: _M.HeartbeatResponse.VERDICT_CONTINUE,
    Verdict.CANCEL: _M.HeartbeatResponse.VERDICT_CANCEL,
    Verdict.LOST: _M.HeartbeatResponse.VERDICT_LOST,
}


def read_id(text: str, field: str) -> str:
    """A UUID in its one spelling. Raises `Refused`: INVALID_ARGUMENT."""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid(field, f"`{field}` is a UUID as text, not {text[:80]!r}.") from None


def read_ref(ref: lease_pb2.AttemptRef) -> tuple[str, bytes]:
    """An attempt's id and lease."""
    if not ref.attempt_id or len(ref.lease) != 16:
        raise invalid("attempt", "`attempt` names an attempt by its id and the 16 bytes of its lease.")
    return ref.attempt_id, ref.lease


def read_peer(peer: str) -> str:
    """The network address in what gRPC says of the other side, such as `ipv4:10.0.0.1:1234`."""
    _, _, address = unquote(peer).partition(":")
    return address


def read_roles(roles: Sequence[worker_service_pb2.WorkerRole]) -> tuple[str, ...]:
    """What a worker does, by name; without a word it runs tasks."""
    names = {_M.WorkerRole.Name(role).removeprefix("WORKER_ROLE_").lower() for role in roles if role in _ROLES}
    return tuple(sorted(names)) or ("tasks",)


def role_messages(names: Sequence[str]) -> list[worker_service_pb2.WorkerRole]:
    """What a worker does."""
    return [cast("worker_service_pb2.WorkerRole", _M.WorkerRole.Value(f"WORKER_ROLE_{name.upper()}")) for name in names]


def read_usage(usage: worker_service_pb2.WorkerUsage) -> Usage:
    """What a worker uses. It is for people, so that nothing in it is worth refusing a heartbeat."""
    return Usage(
        used_slots=max(0, usage.used_slots),
        memory_bytes=max(0, usage.memory_bytes),
        load_percent=round(min(usage.load, _HIGHEST_LOAD) * 100) if usage.load > 0 else 0,
        pending_outcomes=max(0, usage.pending_outcomes),
    )


def span(microseconds_: int) -> Duration:
    """A span as a message."""
    seconds, rest = divmod(microseconds_, 1_000_000)
    return Duration(seconds=seconds, nanos=rest * 1000)


def _seconds(value: float) -> Duration:
    return span(round(value * 1_000_000))


# --- what the server says of itself -----------------------------------------------------------------------------------


def limits_message(limits: Limits) -> worker_service_pb2.Limits:
    """The limits to keep."""
    return _M.Limits(
        max_message_bytes=limits.max_message_bytes,
        max_inline_value_bytes=limits.max_inline_value_bytes,
        max_blob_bytes=limits.max_blob_bytes,
        max_log_chunk_bytes=limits.max_log_chunk_bytes,
    )


def timing_message(timing: Timing) -> worker_service_pb2.Timing:
    """The intervals to keep."""
    return _M.Timing(
        heartbeat_interval=_seconds(timing.heartbeat_interval),
        lease_duration=_seconds(timing.lease_duration),
        start_deadline=_seconds(timing.start_deadline),
        poll_wait=_seconds(timing.poll_wait),
        keepalive_interval=_seconds(timing.keepalive_interval),
        backoff_initial=_seconds(timing.backoff_initial),
        backoff_max=_seconds(timing.backoff_max),
        log_flush_interval=_seconds(timing.log_flush_interval),
    )


# --- bundles ----------------------------------------------------------------------------------------------------------


def read_offer(offer: worker_service_pb2.BundleOffer) -> Offer:
    """An offered version."""
    manifest = None
    if offer.HasField("manifest"):
        named = (offer.manifest.bundle or offer.bundle, offer.manifest.bundle_version or offer.bundle_version)
        if named != (offer.bundle, offer.bundle_version):
            raise invalid("manifest", f"The manifest of bundle '{offer.bundle}' names another bundle or version.")
        manifest = _read_manifest(offer.manifest)
    return Offer(bundle=offer.bundle, version=offer.bundle_version, manifest=manifest, more=offer.more)


def _read_manifest(manifest: bundle_pb2.Manifest) -> Manifest:
    return Manifest(
        api_version=manifest.api_version,
        language=manifest.sdk.language[:50],
        language_version=manifest.sdk.language_version[:50],
        sdk_version=manifest.sdk.version[:50],
        dags=tuple((dag.dag_id, dag.dag) for dag in manifest.dags),
        offered_entry_points=tuple(task.entry_point for task in manifest.offered_tasks),
        source_errors=tuple(
            SourceProblem(source=error.source, line=error.line, message=error.message)
            for error in manifest.source_errors
        ),
    )


def offer_result(result: OfferResult) -> worker_service_pb2.OfferResult:
    """What became of an offer."""
    return _M.OfferResult(
        bundle=result.bundle,
        bundle_version=result.version,
        known=result.known,
        current=result.current,
        refused=[_M.RefusedDag(dag_id=r.dag_id, reason=r.reason.value, message=r.message) for r in result.refused],
    )


# --- work -------------------------------------------------------------------------------------------------------------


def lease_message(lease: Lease) -> lease_pb2.Lease:
    """The right to run an attempt."""
    return lease_pb2.Lease(
        attempt=lease_pb2.AttemptRef(attempt_id=lease.attempt_id, lease=lease.lease),
        task_instance=_key(lease.dag_id, lease.run_id, lease.task_id, lease.map_index),
        try_number=lease.try_number,
        bundle=lease.bundle,
        bundle_version=lease.bundle_version,
        entry_point=lease.entry_point,
        start_deadline=span(lease.start_deadline_us),
        slots=lease.slots,
        queue=lease.queue,
        delivery=lease.delivery,
        workload=workload_number(lease.workload),
    )


def workload_number(workload: str) -> lease_pb2.Workload:
    """What an instance runs."""
    return cast("lease_pb2.Workload", lease_pb2.Workload.Value(f"WORKLOAD_{workload.upper()}"))


def directive_message(directive: Directive, timing: Timing) -> worker_service_pb2.Directive:
    """Something that a worker is to do."""
    match directive.kind:
        case DirectiveKind.CANCEL:
            return _M.Directive(cancel=_M.CancelDirective(attempt_id=directive.attempt_id, reason=directive.reason))
        case DirectiveKind.DRAIN:
            return _M.Directive(drain=_M.DrainDirective())
        case DirectiveKind.MOVE_AWAY:
            return _M.Directive(move_away=_M.MoveAwayDirective(grace=_seconds(timing.move_away_grace)))
        case DirectiveKind.RETIRE_BUNDLE:
            retire = _M.RetireBundleDirective(bundle=directive.bundle, bundle_version=directive.bundle_version)
            return _M.Directive(retire_bundle=retire)
        case DirectiveKind.LOST:
            return _M.Directive(lost=_M.LostDirective(attempt_id=directive.attempt_id))
        case DirectiveKind.PAUSE:
            return _M.Directive(pause=_M.PauseDirective())


def _key(dag_id: str, run_id: str, task_id: str, map_index: int) -> lease_pb2.TaskInstanceKey:
    key = lease_pb2.TaskInstanceKey(dag_id=dag_id, run_id=run_id, task_id=task_id)
    if map_index >= 0:
        key.map_index = map_index
    return key


# --- starts -----------------------------------------------------------------------------------------------------------


def context_message(context: TaskContext) -> lease_pb2.TaskContext:
    """All that a task needs."""
    run, task, record, facts = context.run, context.task, context.record, context.run_facts
    conf = Payload.FromString(facts.conf_message) if facts.conf_message is not None else None
    given = manifests.read_conf(facts.conf_message) if _reads_params(context) and conf is not None else {}
    message = lease_pb2.TaskContext(
        task_instance=_key(run.dag_id, run.run_id, task.task_id, context.map_index),
        attempt_id=record.id,
        try_number=record.try_number,
        max_tries=context.max_tries,
        run=lease_pb2.RunContext(
            dag_id=run.dag_id,
            run_id=run.run_id,
            dag_version_id=run.dag_version_id,
            conf=conf,
            logical_time=timestamp(facts.logical_time),
            data_interval_start_time=timestamp(facts.data_interval_start),
            data_interval_end_time=timestamp(facts.data_interval_end),
            start_time=timestamp(run.start_time),
            run_type=run.run_type,
            partition_key=facts.partition_key,
        ),
        bundle=record.bundle,
        bundle_version=record.bundle_version,
        entry_point=record.entry_point,
        inputs=[_input(each, context, given) for each in context.inputs],
        cancel_grace=span(task.cancel_grace_us),
        on_partition=cast("task_pb2.PartitionPolicy", task.on_partition),
        isolation=cast("task_pb2.Isolation", task.isolation),
        start_time=timestamp(context.start_time),
        first_start_time=timestamp(context.first_start_time),
        downstream_task_ids=[context.plan.tasks[index].task_id for index in task.downstream],
        kind=cast("task_pb2.TaskKind", task.kind),
        map_index_name=context.map_index_name,
        workload=workload_number(context.workload),
    )
    if context.workload is Workload.CALLBACK:
        message.callback.MergeFromString(context.workload_message or b"")
    elif context.workload is Workload.TIMETABLE:
        message.timetable.MergeFromString(context.workload_message or b"")
    if task.execution_timeout_us is not None:
        message.execution_timeout.CopyFrom(span(task.execution_timeout_us))
    if context.previous_failure is not None:
        message.previous_failure.MergeFromString(context.previous_failure)
    if context.resumption is not None:
        message.resumption.MergeFromString(context.resumption)
    _add_declared(message, context.declared)
    return message


def _reads_params(context: TaskContext) -> bool:
    return any(isinstance(each.value, ParamPlan) for each in context.inputs)


def _input(each: ResolvedInput, context: TaskContext, given: Mapping[str, object]) -> lease_pb2.InputValue:
    message = lease_pb2.InputValue(name=each.name, position=each.position)
    message.path.extend(task_pb2.Output.PathStep.FromString(step) for step in each.path)
    match each.value:
        case StoredValue() as value:
            message.payload.CopyFrom(manifests.payload_of(value))
        case ValueList() as several:
            message.list.SetInParent()
            for each_value in several.values:
                message.list.payloads.append(Payload() if each_value is None else manifests.payload_of(each_value))
        case XComName() as name:
            reference = xcom_pb2.XComKey(task_id=name.task_id, key=name.key)
            if name.map_index is not None:
                reference.map_index = name.map_index
            message.reference.CopyFrom(reference)
        case CompositeValue() as composite:
            message.composite.template_json = composite.template_json
            message.composite.parts.extend(_input(part, context, given) for part in composite.parts)
        case ParamPlan() as param:
            chosen = manifests.param_value(param, given)
            if chosen is not None:
                message.payload.CopyFrom(manifests.payload_of(chosen))
        case None:
            pass
    return message


def _add_declared(message: lease_pb2.TaskContext, declared: Declared) -> None:
    for variable in declared.variables:
        message.variables.add(key=variable.key, value=variable.value, public=variable.public)
    for connection in declared.connections:
        message.connections.add(
            connection_id=connection.connection_id,
            conn_type=connection.conn_type,
            host=connection.host,
            port=connection.port,
            schema=connection.schema,
            login=connection.login,
            password=connection.password,
            extra_json=connection.extra_json,
            description=connection.description,
        )


# --- finishes ---------------------------------------------------------------------------------------------------------

_EVENTS: Final = {
    "succeeded": Event.FINISH_SUCCEEDED,
    "failed": Event.FINISH_FAILED,
    "skipped": Event.FINISH_SKIPPED,
    "deferred": Event.FINISH_DEFERRED,
    "rescheduled": Event.FINISH_RESCHEDULED,
    "awaiting_input": Event.FINISH_AWAITING_INPUT,
    "cancelled": Event.FINISH_CANCELLED,
}


def read_finish(request: worker_service_pb2.FinishAttemptRequest) -> FinishAttempt:
    """How an attempt ended.

    Raises:
        Refused: INVALID_ARGUMENT, VALUE_TOO_LARGE or NOT_SUPPORTED.
    """
    attempt_id, lease = read_ref(request.attempt)
    outcome = request.outcome
    kind = outcome.WhichOneof("kind")
    if kind is None:
        raise invalid("outcome", "`outcome` says how the attempt ended; set one of its kinds.")
    if len(outcome.asset_events) > MAX_EVENTS:
        raise invalid("outcome.asset_events", f"An outcome has at most {MAX_EVENTS} events of assets; send fewer.")
    if len(outcome.checkpoints) > MAX_WRITES:
        raise invalid("outcome.checkpoints", f"An outcome leaves at most {MAX_WRITES} checkpoints; leave fewer.")
    values = [(write.key, manifests.value_of(write.value)) for write in outcome.xcoms]
    if kind == "succeeded" and outcome.succeeded.HasField("result"):
        values.append((RETURN_VALUE, manifests.value_of(outcome.succeeded.result)))
    check_values(values)
    cpu_time_us, max_memory_bytes = _read_resources(request.usage)
    return FinishAttempt(
        attempt_id=attempt_id,
        lease=lease,
        outcome_id=read_id(request.outcome_id, "outcome_id"),
        event=_EVENTS[kind],
        values=tuple(values),
        failure=_read_failure(outcome.failed.failure) if kind == "failed" else None,
        wake=read_wake(outcome),
        next_runs=read_next_runs(outcome),
        log_end=request.log_chunks[0].first_sequence if only_ends_log(request) else None,
        cpu_time_us=cpu_time_us,
        max_memory_bytes=max_memory_bytes,
        follow_ids=tuple(outcome.succeeded.branch.follow_ids) if outcome.succeeded.HasField("branch") else None,
        skip_all_downstream=(
            outcome.succeeded.skip_all_downstream if outcome.succeeded.HasField("skip_all_downstream") else None
        ),
        emissions=tuple(read_emission(each, "outcome.asset_events") for each in outcome.asset_events),
        checkpoints=tuple(read_state_write(each, "outcome.checkpoints") for each in outcome.checkpoints),
    )


def _read_resources(usage: worker_service_pb2.ResourceUsage) -> tuple[int | None, int | None]:
    """CPU microseconds and bytes of memory. They are for people: nothing in them is worth refusing an outcome."""
    cpu_time_us = min(max(0, span_us(usage.cpu_time)), _LONGEST_SPAN_US) if usage.HasField("cpu_time") else None
    return cpu_time_us, usage.max_memory_bytes if usage.max_memory_bytes > 0 else None


def only_ends_log(request: worker_service_pb2.FinishAttemptRequest) -> bool:
    """Whether the chunks that ride along say no more than that the log is complete, as those of a silent task."""
    if len(request.log_chunks) != 1:
        return False
    (chunk,) = request.log_chunks
    return chunk.last and not (chunk.record_count or chunk.data or chunk.dropped)


def _read_failure(failure: Failure) -> FailureFacts:
    types = (required(failure.type, "outcome.failed.failure.type"), *failure.base_types)
    if len(failure.message) > _LONGEST_MESSAGE:
        cut = Failure()
        cut.CopyFrom(failure)
        cut.message = failure.message[: _LONGEST_MESSAGE - 10] + "... (cut)"
        failure = cut
    return FailureFacts(
        message=failure.SerializeToString(),
        types=types,
        retryable=not failure.HasField("retryable") or failure.retryable,
        retry_after_us=max(0, span_us(failure.retry_after)) if failure.HasField("retry_after") else None,
    )


# --- logs -------------------------------------------------------------------------------------------------------------


def read_chunks(chunks: Sequence[LogChunkMessage]) -> tuple[LogChunk, ...]:
    """Log chunks of one attempt. Raises `Refused`: INVALID_ARGUMENT."""
    found = tuple(
        LogChunk(
            first_sequence=chunk.first_sequence,
            record_count=chunk.record_count,
            compression=chunk.compression,
            data=chunk.data,
            dropped=chunk.dropped,
            last=chunk.last,
        )
        for chunk in chunks
    )
    check_chunks(found)
    return found

"""What tasks record beside XComs: events of assets and state, in their outcomes and by calls of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from crosswind.execution.v1 import lease_pb2, outcome_pb2, task_service_pb2
from crosswind.manifest.v1.schedule_pb2 import AssetReference
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server import manifests
from crosswind_server.rpc.messages import invalid, span_us, timestamp
from crosswind_server.services.execution.state_store import StateWrite, check_key
from crosswind_server.services.runs.asset_events import Emission

_LONGEST_SPAN_US: Final = 315_576_000_000 * 1_000_000


def read_emission(event: outcome_pb2.AssetEvent, field: str) -> Emission:
    """An event of an asset. Raises `Refused`: INVALID_ARGUMENT, VALUE_TOO_LARGE."""
    aliases = tuple(dict.fromkeys(event.alias_names))
    for alias in aliases:
        manifests.check_reference(AssetReference(name=alias), f"{field}.alias_names")
    return Emission(
        asset=manifests.check_reference(event.asset, f"{field}.asset"),
        aliases=aliases,
        partition_key=manifests.check_partition(event.partition_key, f"{field}.partition_key"),
        extra=manifests.check_extra(event.extra, f"{field}.extra") if event.HasField("extra") else None,
    )


def read_state_write(write: outcome_pb2.StateWrite, field: str) -> StateWrite:
    """A write to the state store. Raises `Refused`: INVALID_ARGUMENT, VALUE_TOO_LARGE."""
    key = check_key(write.key, f"{field}.key")
    if not write.HasField("value"):
        return StateWrite(key=key, value=None)
    manifests.value_of(write.value, what=f"The value '{key[:80]}' of the state store")
    span = span_us(write.time_to_live) if write.HasField("time_to_live") else None
    if span is not None and not 0 < span <= _LONGEST_SPAN_US:
        raise invalid(f"{field}.time_to_live", "A value is kept for more than no time and at most 10,000 years.")
    return StateWrite(key=key, value=write.value.SerializeToString(deterministic=True), time_to_live_us=span)


def recorded_event(row: Any, alias_names: Sequence[str]) -> task_service_pb2.RecordedAssetEvent:
    """An event of an asset as tasks see it."""
    source = None
    if row.task_id is not None:
        source = lease_pb2.TaskInstanceKey(
            dag_id=row.dag_id, run_id=row.run_id, task_id=row.task_id, map_index=row.map_index
        )
    return task_service_pb2.RecordedAssetEvent(
        event=outcome_pb2.AssetEvent(
            asset=AssetReference(name=row.asset_name, uri=row.uri, alias=row.alias),
            extra=Payload.FromString(row.extra_message) if row.extra_message is not None else None,
            partition_key=row.partition_key,
            alias_names=alias_names,
        ),
        event_time=timestamp(row.event_time),
        source=source,
    )

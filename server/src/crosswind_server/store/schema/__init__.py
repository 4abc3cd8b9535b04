"""The tables, as SQLAlchemy metadata: what is stored, under which keys, found by which index.

Here belong tables, columns and indexes. How rows are read and written belongs to the module of their noun; how an old
database becomes this one belongs to ``migrations/``.

Conventions: ids are UUIDv7 text made by the server; times are BIGINT microseconds UTC; states are the lower-case values
of ``domain.states``; ``map_index`` is -1 where a task is not mapped; ``team`` is part of every key that people choose;
bytes named ``..._message`` are serialized protobuf messages that the server stores for others.
"""

from crosswind_server.store.columns import metadata
from crosswind_server.store.schema.assets import (
    asset,
    asset_event,
    asset_event_name,
    asset_event_run,
    asset_pending,
    asset_relation,
    state_value,
)
from crosswind_server.store.schema.catalog import bundle, bundle_offer, bundle_version, dag, dag_version, source_error
from crosswind_server.store.schema.claims import claim_class, pool, task_limit
from crosswind_server.store.schema.fleet import worker, worker_bundle
from crosswind_server.store.schema.housekeeping import answered_request, continuation, deployment_key, timer, token
from crosswind_server.store.schema.runs import attempt, backfill, dag_run, log_chunk, past_wait, task_instance
from crosswind_server.store.schema.values import connection, variable, xcom, xcom_item
from crosswind_server.store.schema.waiting import event, event_name, event_receipt, input_request

__all__ = [
    "metadata",
    "answered_request",
    "asset",
    "asset_event",
    "asset_event_name",
    "asset_event_run",
    "asset_pending",
    "asset_relation",
    "attempt",
    "backfill",
    "bundle",
    "bundle_offer",
    "bundle_version",
    "claim_class",
    "connection",
    "continuation",
    "dag",
    "dag_run",
    "dag_version",
    "deployment_key",
    "event",
    "event_name",
    "event_receipt",
    "input_request",
    "log_chunk",
    "past_wait",
    "pool",
    "source_error",
    "state_value",
    "task_instance",
    "task_limit",
    "timer",
    "token",
    "variable",
    "worker",
    "worker_bundle",
    "xcom",
    "xcom_item",
]

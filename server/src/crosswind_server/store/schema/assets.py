"""Assets, their events and what waits for these, and the state store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from crosswind_server.store.columns import flag_column, id_column, metadata, time_column

asset = Table(
    "asset",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("name", String(500), nullable=False),
    Column("uri", String(2000), nullable=False),
    flag_column("alias"),
    time_column("created_time"),
    UniqueConstraint("team", "name"),
)

# What the current versions of DAGs say about assets.
asset_relation = Table(
    "asset_relation",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("dag_id", String(250), primary_key=True),
    # `schedule`, `inlet` or `outlet`.
    Column("role", String(20), primary_key=True),
    # Empty for a schedule.
    Column("task_id", String(250), primary_key=True),
    Column("asset_id", String(36), ForeignKey("asset.id"), primary_key=True),
    Index("ix_asset_relation_asset_id", "asset_id", "role", "dag_id"),
)

asset_event = Table(
    "asset_event",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("asset_id", String(36), ForeignKey("asset.id"), nullable=False),
    time_column("event_time"),
    # Empty: none.
    Column("partition_key", String(250), nullable=False),
    Column("extra_message", LargeBinary),
    # The task instance that made it; NULL where a person did.
    Column("run_key", String(36)),
    Column("task_id", String(250)),
    Column("map_index", Integer),
    # Subject of the token of the person; NULL where a task did.
    Column("subject", String(250)),
    Index("ix_asset_event_team_id", "team", "id"),
)

# Under which names an event is found: its asset, and the aliases through which its task found that.
asset_event_name = Table(
    "asset_event_name",
    metadata,
    Column("asset_id", String(36), ForeignKey("asset.id"), primary_key=True),
    Column("event_id", String(36), ForeignKey("asset_event.id"), primary_key=True),
)

# Events that a DAG's condition has seen and no run has taken yet. Who changes them has locked the DAG.
asset_pending = Table(
    "asset_pending",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("dag_id", String(250), primary_key=True),
    Column("partition_key", String(250), primary_key=True),
    Column("asset_id", String(36), primary_key=True),
    Column("event_id", String(36), ForeignKey("asset_event.id"), primary_key=True),
)

# The events that a run was created for.
asset_event_run = Table(
    "asset_event_run",
    metadata,
    Column("run_key", String(36), ForeignKey("dag_run.id"), primary_key=True),
    Column("event_id", String(36), ForeignKey("asset_event.id"), primary_key=True),
    Index("ix_asset_event_run_event_id", "event_id"),
)

state_value = Table(
    "state_value",
    metadata,
    # A task instance, or an asset.
    Column("owner_id", String(36), primary_key=True),
    Column("key", String(250), primary_key=True),
    # A serialized `value.v1.Payload`.
    Column("value_message", LargeBinary, nullable=False),
    # Grows with every write, also across a deletion.
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    time_column("write_time"),
    time_column("expire_time", nullable=True),
)

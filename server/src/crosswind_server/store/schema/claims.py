"""What task instances ask of workers, and the slots that they share."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text, text

from crosswind_server.store.columns import metadata, time_column

_WEIGHED = text("pool_slots > 1")

# What a worker must be and what must be free for instances to be given to it. Many instances have one class, so what
# does not fit a worker now never stands in the way of what does. Its id is a hash of its content. A row goes when it
# was not used for long and nothing that is queued is of it; what becomes queued later brings it along again.
claim_class = Table(
    "claim_class",
    metadata,
    # The kind of the offer, `dag` or `ref`, and a hash: `domain.claims` makes it.
    Column("id", String(40), primary_key=True),
    Column("team", String(100), nullable=False),
    Column("offer_key", String(700), nullable=False),
    Column("queue", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("pool", String(250)),
    Column("pool_slots", Integer, nullable=False),
    Column("task_limit", String(501)),
    # JSON array of key, value and whether it is required.
    Column("labels_json", Text, nullable=False),
    # When somebody asked for it last, or up to an hour later.
    time_column("used_time"),
    Index("ix_claim_class_used_time", "used_time"),
    Index("ix_claim_class_offer_key", "team", "offer_key"),
    # Which of those that share a pool take several of its slots.
    Index("ix_claim_class_pool", "team", "pool", sqlite_where=_WEIGHED, postgresql_where=_WEIGHED),
)

# Slots that the tasks which name it share. What is taken is counted, never stored; a claim locks the row meanwhile.
pool = Table(
    "pool",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    time_column("created_time"),
    time_column("updated_time"),
)

# How many instances of a task may be live over all runs, as the DAG's current version says; without a row, any number.
task_limit = Table(
    "task_limit",
    metadata,
    Column("team", String(100), primary_key=True),
    # `domain.claims.task_limit_key`.
    Column("key", String(501), primary_key=True),
    Column("dag_id", String(250), nullable=False),
    Column("slots", Integer, nullable=False),
    Index("ix_task_limit_dag_id", "team", "dag_id"),
)

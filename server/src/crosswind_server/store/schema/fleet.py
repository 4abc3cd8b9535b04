"""Workers and what they offer."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from crosswind_server.store.columns import count_column, flag_column, id_column, metadata, time_column

_NAMED = text("state IN ('active', 'draining')")

worker = Table(
    "worker",
    metadata,
    id_column("instance_id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("subject", String(250), nullable=False),
    Column("state", String(20), nullable=False),
    Column("language", String(50), nullable=False),
    Column("language_version", String(50), nullable=False),
    Column("sdk_version", String(50), nullable=False),
    Column("api_version", String(10), nullable=False),
    # JSON arrays and object.
    Column("runtimes_json", Text, nullable=False),
    Column("queues_json", Text, nullable=False),
    Column("labels_json", Text, nullable=False),
    Column("roles_json", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    # What it uses, as its last heartbeat said.
    count_column("used_slots"),
    Column("memory_bytes", BigInteger, nullable=False, server_default=text("0")),
    # Load of its machine over one minute, in hundredths.
    count_column("load_percent"),
    count_column("pending_outcomes"),
    Column("host", String(250), nullable=False),
    # Where it registered from, as the server saw it.
    Column("address", String(100), nullable=False),
    Column("process_id", BigInteger, nullable=False),
    flag_column("paused"),
    # An operator told it to connect anew, and it has not obeyed yet.
    flag_column("moving"),
    Column("poll_number", BigInteger, nullable=False, server_default=text("0")),
    time_column("registered_time"),
    time_column("last_heartbeat_time"),
    time_column("end_time", nullable=True),
    # One live worker a name, whatever the code does. [WORKER-1]
    Index(
        "uq_worker_name_live",
        "team",
        "name",
        unique=True,
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    ),
    # Who has been silent longest.
    Index(
        "ix_worker_last_heartbeat_time",
        "last_heartbeat_time",
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    ),
)

worker_bundle = Table(
    "worker_bundle",
    metadata,
    Column(
        "instance_id",
        String(36),
        ForeignKey("worker.instance_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("team", String(100), nullable=False),
    Column("bundle", String(250), primary_key=True),
    Column("version", String(128), primary_key=True),
    Index("ix_worker_bundle_version", "team", "bundle", "version"),
)

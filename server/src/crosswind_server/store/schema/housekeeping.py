"""Tokens, keys, answered requests and work that was left for later."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from crosswind_server.store.columns import id_column, metadata, time_column

token = Table(
    "token",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("subject", String(250), nullable=False),
    # JSON object: role, bundles, queues, instance.
    Column("claims_json", Text, nullable=False),
    time_column("issued_time"),
    time_column("expire_time", nullable=True),
    time_column("revoked_time", nullable=True),
    Index("ix_token_team_id", "team", "id"),
)

# Keys of the deployment, such as the one that signs tokens, sealed with the key that operators hold.
deployment_key = Table(
    "deployment_key",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("key_sealed", LargeBinary, nullable=False),
    time_column("created_time"),
)

# Answers to mutating calls, by request id, so that a repeated call answers the first answer. [FIN-1]
answered_request = Table(
    "answered_request",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("request_id", String(36), primary_key=True),
    Column("method", String(200), nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("response_message", LargeBinary, nullable=False),
    Column("created_time", BigInteger, nullable=False, index=True),
)

# Work that one transaction left for later ones because it fans out without bound. [SCHED-1]
continuation = Table(
    "continuation",
    metadata,
    id_column("id", primary_key=True),
    Column("kind", String(50), nullable=False),
    # The run that is locked for it; NULL where it concerns none.
    Column("run_key", String(36)),
    # What it concerns, such as the id of a task instance.
    Column("subject_id", String(500), nullable=False),
    # Where the next piece begins.
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    # What else its kind needs to know, as JSON.
    Column("detail_json", Text),
    time_column("created_time"),
)

# What is to happen at a moment, but for what task instances and attempts carry themselves: they have due times of
# their own. One index finds the earliest, however many there are. [SCHED-2]
timer = Table(
    "timer",
    metadata,
    Column("kind", String(50), primary_key=True),
    Column("subject_id", String(500), primary_key=True),
    Column("due_time", BigInteger, nullable=False, index=True),
)

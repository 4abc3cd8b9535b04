"""XComs, variables and connections."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from crosswind_server.store.columns import flag_column, id_column, metadata, time_column

xcom = Table(
    "xcom",
    metadata,
    id_column("id", primary_key=True),
    Column("run_key", String(36), ForeignKey("dag_run.id"), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("key", String(250), nullable=False),
    Column("encoding", String(100), nullable=False),
    # JSON object.
    Column("metadata_json", Text, nullable=False, server_default=text("'{}'")),
    # The value, or NULL where it is a list: then its items are in xcom_item.
    Column("data", LargeBinary),
    Column("item_count", Integer),
    Column("size_bytes", BigInteger, nullable=False),
    time_column("write_time"),
    UniqueConstraint("run_key", "task_id", "map_index", "key"),
)

xcom_item = Table(
    "xcom_item",
    metadata,
    Column(
        "xcom_id",
        String(36),
        ForeignKey("xcom.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("item_index", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

variable = Table(
    "variable",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("key", String(250), primary_key=True),
    # An encrypted envelope.
    Column("value_sealed", LargeBinary, nullable=False),
    flag_column("public"),
    Column("description", Text, nullable=False, server_default=text("''")),
    time_column("created_time"),
    time_column("updated_time"),
)

connection = Table(
    "connection",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("connection_id", String(250), primary_key=True),
    Column("conn_type", String(100), nullable=False),
    Column("host", String(500), nullable=False),
    Column("port", Integer),
    Column("schema", String(500), nullable=False),
    Column("login", String(500), nullable=False),
    # An encrypted envelope around JSON: password, extra.
    Column("secrets_sealed", LargeBinary, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    time_column("created_time"),
    time_column("updated_time"),
)

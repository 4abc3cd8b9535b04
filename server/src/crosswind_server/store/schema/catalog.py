"""Bundles, their versions, and DAGs."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from crosswind_server.store.columns import flag_column, metadata, time_column

bundle = Table(
    "bundle",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("name", String(250), primary_key=True),
    # Subject of the token that published it first: nobody else publishes it. [WORKER-1]
    Column("owner", String(250), nullable=False),
    Column("current_version", String(128)),
    time_column("created_time"),
    # When its current version changed last.
    time_column("updated_time"),
)

bundle_version = Table(
    "bundle_version",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("bundle", String(250), primary_key=True),
    Column("version", String(128), primary_key=True),
    Column("api_version", String(10), nullable=False),
    Column("language", String(50), nullable=False),
    Column("language_version", String(50), nullable=False),
    Column("sdk_version", String(50), nullable=False),
    # Name of the worker that brought it first.
    Column("published_by", String(100), nullable=False),
    # False until the last part of its manifest came.
    flag_column("complete"),
    time_column("created_time"),
)

# Which versions of DAGs and which offered entry points a bundle version holds, by the key that task instances ask for:
# ``dag:<dag_version_id>``, ``ref:<bundle>/<entry_point>`` or, pinned, ``ref:<bundle>@<version>/<entry_point>``.
bundle_offer = Table(
    "bundle_offer",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("bundle", String(250), primary_key=True),
    Column("version", String(128), primary_key=True),
    Column("offer_key", String(700), primary_key=True),
    Index("ix_bundle_offer_offer_key", "team", "offer_key"),
)

source_error = Table(
    "source_error",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("bundle", String(250), primary_key=True),
    Column("version", String(128), primary_key=True),
    # A DAG that was refused, and why; else empty and NULL, and the source is one that could not be read.
    Column("dag_id", String(250), primary_key=True),
    Column("source", String(500), primary_key=True),
    Column("line", Integer, nullable=False),
    Column("reason", String(50)),
    Column("message", Text, nullable=False),
)

dag = Table(
    "dag",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("dag_id", String(250), primary_key=True),
    Column("bundle", String(250), nullable=False),
    Column("current_version_id", String(64), nullable=False),
    flag_column("paused"),
    # False once a newer version of its bundle no longer holds it: its runs stay readable, new ones are refused. A
    # version with errors may lack it without ending it; `current_version_id` is then one of an older bundle version.
    flag_column("active", default=True),
    time_column("created_time"),
    time_column("updated_time"),
    # The last run that its schedule created: what it stands for, and where the data that it covers ends.
    time_column("last_logical_time", nullable=True),
    time_column("last_interval_end", nullable=True),
    # The run that its schedule creates next, and when; NULL where none is due, or the DAG is paused.
    time_column("next_logical_time", nullable=True),
    time_column("next_interval_start", nullable=True),
    time_column("next_interval_end", nullable=True),
    time_column("next_run_time", nullable=True),
    # What the author's code answered when it was asked last: a JSON array of arrays with the four moments of a run.
    Column("planned_json", Text),
)

dag_version = Table(
    "dag_version",
    metadata,
    Column("team", String(100), primary_key=True),
    # SHA-256, in hex, of the bytes of ``manifest.v1.Dag`` as received.
    Column("dag_version_id", String(64), primary_key=True),
    Column("dag_id", String(250), nullable=False),
    Column("number", Integer, nullable=False),
    Column("bundle", String(250), nullable=False),
    # The bundle version that brought it first.
    Column("bundle_version", String(128), nullable=False),
    Column("dag_message", LargeBinary, nullable=False),
    time_column("created_time"),
    UniqueConstraint("team", "dag_id", "number"),
)

"""What tasks wait for without a slot: named events, and the answers of people."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text, text

from crosswind_server.store.columns import flag_column, id_column, metadata, time_column

# A name of events that was waited for or delivered. Its row is locked while an event is delivered and while somebody
# begins to wait, so that neither misses the other.
event_name = Table(
    "event_name",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("name", String(500), nullable=False),
    # The number of its newest event.
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    Index("uq_event_name_team_name", "team", "name", unique=True),
)

# An event that was delivered, while somebody may still be given it.
event = Table(
    "event",
    metadata,
    id_column("id", primary_key=True),
    Column("name_id", String(36), ForeignKey("event_name.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    # Only for tasks of this DAG, and of this run; empty: of all.
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("payload_message", LargeBinary),
    time_column("created_time"),
    # Until then tasks that begin to wait are given it.
    time_column("expire_time"),
    Index("uq_event_name_number", "name_id", "number", unique=True),
)

# Who was given a kept event, in which try: nobody is given it twice.
event_receipt = Table(
    "event_receipt",
    metadata,
    Column("event_id", String(36), ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("task_instance_id", String(36), primary_key=True),
    Column("try_number", BigInteger, primary_key=True),
)

_OPEN = text("state = 'open'")

# A question of a task to people.
input_request = Table(
    "input_request",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("run_key", String(36), ForeignKey("dag_run.id"), nullable=False),
    Column("task_instance_id", String(36), ForeignKey("task_instance.id"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    # JSON arrays of texts.
    Column("options_json", Text, nullable=False),
    Column("default_options_json", Text, nullable=False),
    flag_column("multiple"),
    Column("fields_schema_json", Text, nullable=False),
    Column("respondents_json", Text, nullable=False),
    time_column("created_time"),
    time_column("expire_time", nullable=True),
    # The answer: NULL until there is one.
    Column("chosen_options_json", Text),
    Column("fields_message", LargeBinary),
    Column("respondent", String(250)),
    time_column("answer_time", nullable=True),
    Index("ix_input_request_team_id", "team", "id"),
    Index("ix_input_request_open", "team", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    # One open question a task instance, whatever the code does.
    Index("uq_input_request_asking", "task_instance_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_input_request_task_instance_id", "task_instance_id", "id"),
)

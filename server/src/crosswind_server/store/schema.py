"""The tables, as SQLAlchemy metadata: what is stored, under which keys, found by which index.

Here belong tables, columns and indexes. How rows are read and written belongs to the module of their noun; how an old
database becomes this one belongs to ``migrations/``.

Conventions: ids are UUIDv7 text made by the server; times are BIGINT microseconds UTC; states are the lower-case values
of ``domain.states``; ``map_index`` is -1 where a task is not mapped; ``team`` is part of every key that people choose;
bytes named ``..._message`` are serialized protobuf messages that the server stores for others.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from crosswind_server.store.columns import count_column, flag_column, id_column, time_column

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- bundles and DAGs -------------------------------------------------------------------------------------------------

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

# --- runs, task instances, attempts -----------------------------------------------------------------------------------

dag_run = Table(
    "dag_run",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("run_type", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("dag_version_id", String(64), nullable=False),
    # DAG version whose code runs: the run's own, until the version policy applied. [SCHED-3]
    Column("code_version_id", String(64), nullable=False),
    Column("conf_message", LargeBinary),
    time_column("logical_time", nullable=True),
    time_column("data_interval_start", nullable=True),
    time_column("data_interval_end", nullable=True),
    time_column("queued_time"),
    time_column("start_time", nullable=True),
    time_column("end_time", nullable=True),
    Column("triggered_by", String(250), nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    # Task instances that have not ended, mapped ones included: at 0 the run ends.
    count_column("unfinished"),
    flag_column("cancel_requested"),
    # Grows with every change that people can see, for long polls.
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    UniqueConstraint("team", "dag_id", "run_id"),
    Index("ix_dag_run_team_id", "team", "id"),
    Index("ix_dag_run_dag_id", "team", "dag_id", "id"),
    Index(
        "ix_dag_run_active",
        "team",
        "dag_id",
        sqlite_where=text("end_time IS NULL"),
        postgresql_where=text("end_time IS NULL"),
    ),
)

_QUEUED = text("state = 'queued'")
_NOT_BEFORE = text("not_before IS NOT NULL")

task_instance = Table(
    "task_instance",
    metadata,
    id_column("id", primary_key=True),
    Column("run_key", String(36), ForeignKey("dag_run.id"), nullable=False),
    Column("team", String(100), nullable=False),
    # Position of the task in its DAG version, from 0; the plan of the DAG version knows its edges.
    Column("task_index", Integer, nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False, server_default=text("-1")),
    # For an instance of a mapped task: the row that it was expanded from.
    Column("parent_id", String(36)),
    Column("state", String(20), nullable=False),
    # How many upstream tasks ended, by how they ended; the total is the plan's. [SCHED-2]
    count_column("upstream_succeeded"),
    count_column("upstream_failed"),
    count_column("upstream_skipped"),
    # For an expanded task: its instances, and how many ended, by how they ended.
    count_column("instances_total"),
    count_column("instances_succeeded"),
    count_column("instances_failed"),
    count_column("instances_skipped"),
    count_column("instances_cancelled"),
    Column("offer_key", String(700), nullable=False),
    Column("queue", String(100), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    # The due time of the state that it waits in: back-off, deferral, reschedule.
    time_column("not_before", nullable=True),
    time_column("queued_time", nullable=True),
    time_column("first_start_time", nullable=True),
    time_column("start_time", nullable=True),
    time_column("end_time", nullable=True),
    # The number last given, and what has been used of the two budgets.
    count_column("try_number"),
    count_column("failures"),
    count_column("losses"),
    Column("max_tries", Integer, nullable=False),
    # The live attempt, else the last one.
    Column("attempt_id", String(36)),
    Column("worker_name", String(100)),
    Column("language", String(50)),
    Column("bundle_version", String(128)),
    Column("failure_message", LargeBinary),
    # A resumption for the next attempt (deferral, human input).
    Column("resumption_message", LargeBinary),
    UniqueConstraint("run_key", "task_index", "map_index"),
    # The claim: workers ask by what they offer, best first.
    Index(
        "ix_task_instance_claim",
        "team",
        "offer_key",
        "queue",
        text("priority DESC"),
        "queued_time",
        "id",
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    ),
    Index(
        "ix_task_instance_due",
        "not_before",
        sqlite_where=_NOT_BEFORE,
        postgresql_where=_NOT_BEFORE,
    ),
    Index("ix_task_instance_parent", "parent_id", "map_index"),
)

_LIVE = text("state IN ('assigned', 'running', 'cancelling')")
_LEASED = text("state IN ('running', 'cancelling')")
_ASSIGNED = text("state = 'assigned'")

attempt = Table(
    "attempt",
    metadata,
    id_column("id", primary_key=True),
    Column("task_instance_id", String(36), ForeignKey("task_instance.id"), nullable=False),
    Column("run_key", String(36), nullable=False),
    Column("team", String(100), nullable=False),
    Column("try_number", Integer, nullable=False),
    # 128 random bits, changed only by assignment; a revoked lease has an ended state beside it. [LEASE-1]
    Column("lease", LargeBinary, nullable=False),
    Column("instance_id", String(36), nullable=False),
    Column("state", String(20), nullable=False),
    Column("deliveries", Integer, nullable=False, server_default=text("1")),
    Column("slots", Integer, nullable=False),
    Column("bundle", String(250), nullable=False),
    Column("bundle_version", String(128), nullable=False),
    Column("entry_point", String(500), nullable=False),
    time_column("assigned_time"),
    time_column("start_deadline"),
    time_column("start_time", nullable=True),
    time_column("lease_expires", nullable=True),
    time_column("end_time", nullable=True),
    Column("outcome_id", String(36)),
    Column("failure_message", LargeBinary),
    # What its process used, where the worker told it with the outcome.
    Column("cpu_time_us", BigInteger),
    Column("max_memory_bytes", BigInteger),
    Column("cancel_reason", Text),
    # True where the cancel came from a clear: the task is queued again when the attempt has ended.
    flag_column("requeue"),
    Column("log_next_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("log_dropped", BigInteger, nullable=False, server_default=text("0")),
    flag_column("log_closed"),
    Index("ix_attempt_task_instance_id", "task_instance_id"),
    # At most one valid lease a task instance, whatever the code does. [LEASE-1]
    Index(
        "uq_attempt_live",
        "task_instance_id",
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    Index(
        "ix_attempt_worker_live",
        "instance_id",
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    Index(
        "ix_attempt_lease_expires",
        "lease_expires",
        sqlite_where=_LEASED,
        postgresql_where=_LEASED,
    ),
    Index(
        "ix_attempt_start_deadline",
        "start_deadline",
        sqlite_where=_ASSIGNED,
        postgresql_where=_ASSIGNED,
    ),
)

log_chunk = Table(
    "log_chunk",
    metadata,
    Column("attempt_id", String(36), ForeignKey("attempt.id"), primary_key=True),
    Column("first_sequence", BigInteger, primary_key=True),
    Column("record_count", Integer, nullable=False),
    Column("compression", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("dropped", BigInteger, nullable=False),
)

# --- values -----------------------------------------------------------------------------------------------------------

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

# --- workers, tokens, housekeeping ------------------------------------------------------------------------------------

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
    Column("run_key", String(36), nullable=False),
    Column("subject_id", String(36), nullable=False),
    # Where the next piece begins.
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    time_column("created_time"),
)

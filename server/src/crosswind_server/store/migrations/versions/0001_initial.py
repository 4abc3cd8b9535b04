"""Create every table of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

min_server_revision = "0001"
"""The oldest revision whose server can still work with this schema."""


def upgrade() -> None:
    """Bring the schema from the revision before to this one."""
    op.create_table(
        "answered_request",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("method", sa.String(length=200), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("response_message", sa.LargeBinary(), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "request_id", name=op.f("pk_answered_request")),
    )
    op.create_index(op.f("ix_answered_request_created_time"), "answered_request", ["created_time"], unique=False)
    op.create_table(
        "bundle",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("owner", sa.String(length=250), nullable=False),
        sa.Column("current_version", sa.String(length=128), nullable=True),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "name", name=op.f("pk_bundle")),
    )
    op.create_table(
        "bundle_offer",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("offer_key", sa.String(length=700), nullable=False),
        sa.PrimaryKeyConstraint("team", "bundle", "version", "offer_key", name=op.f("pk_bundle_offer")),
    )
    op.create_index("ix_bundle_offer_offer_key", "bundle_offer", ["team", "offer_key"], unique=False)
    op.create_table(
        "bundle_version",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("api_version", sa.String(length=10), nullable=False),
        sa.Column("language", sa.String(length=50), nullable=False),
        sa.Column("language_version", sa.String(length=50), nullable=False),
        sa.Column("sdk_version", sa.String(length=50), nullable=False),
        sa.Column("published_by", sa.String(length=100), nullable=False),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "bundle", "version", name=op.f("pk_bundle_version")),
    )
    op.create_table(
        "connection",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("connection_id", sa.String(length=250), nullable=False),
        sa.Column("conn_type", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=500), nullable=False),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("schema", sa.String(length=500), nullable=False),
        sa.Column("login", sa.String(length=500), nullable=False),
        sa.Column("secrets_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "connection_id", name=op.f("pk_connection")),
    )
    op.create_table(
        "continuation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=50), nullable=False),
        sa.Column("run_key", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_continuation")),
    )
    op.create_table(
        "dag",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("current_version_id", sa.String(length=64), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "dag_id", name=op.f("pk_dag")),
    )
    op.create_table(
        "dag_run",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("run_type", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("dag_version_id", sa.String(length=64), nullable=False),
        sa.Column("code_version_id", sa.String(length=64), nullable=False),
        sa.Column("conf_message", sa.LargeBinary(), nullable=True),
        sa.Column("logical_time", sa.BigInteger(), nullable=True),
        sa.Column("data_interval_start", sa.BigInteger(), nullable=True),
        sa.Column("data_interval_end", sa.BigInteger(), nullable=True),
        sa.Column("queued_time", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("triggered_by", sa.String(length=250), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("unfinished", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dag_run")),
        sa.UniqueConstraint("team", "dag_id", "run_id", name=op.f("uq_dag_run_team_dag_id_run_id")),
    )
    op.create_index(
        "ix_dag_run_active",
        "dag_run",
        ["team", "dag_id"],
        unique=False,
        sqlite_where=sa.text("end_time IS NULL"),
        postgresql_where=sa.text("end_time IS NULL"),
    )
    op.create_index("ix_dag_run_dag_id", "dag_run", ["team", "dag_id", "id"], unique=False)
    op.create_index("ix_dag_run_team_id", "dag_run", ["team", "id"], unique=False)
    op.create_table(
        "dag_version",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("dag_version_id", sa.String(length=64), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("bundle_version", sa.String(length=128), nullable=False),
        sa.Column("dag_message", sa.LargeBinary(), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "dag_version_id", name=op.f("pk_dag_version")),
        sa.UniqueConstraint("team", "dag_id", "number", name=op.f("uq_dag_version_team_dag_id_number")),
    )
    op.create_table(
        "deployment_key",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_deployment_key")),
    )
    op.create_table(
        "source_error",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("source", sa.String(length=500), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=50), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("team", "bundle", "version", "dag_id", "source", name=op.f("pk_source_error")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=250), nullable=False),
        sa.Column("claims_json", sa.Text(), nullable=False),
        sa.Column("issued_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=True),
        sa.Column("revoked_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    op.create_index("ix_token_team_id", "token", ["team", "id"], unique=False)
    op.create_table(
        "variable",
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("('')"), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team", "key", name=op.f("pk_variable")),
    )
    op.create_table(
        "worker",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=250), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=50), nullable=False),
        sa.Column("language_version", sa.String(length=50), nullable=False),
        sa.Column("sdk_version", sa.String(length=50), nullable=False),
        sa.Column("api_version", sa.String(length=10), nullable=False),
        sa.Column("runtimes_json", sa.Text(), nullable=False),
        sa.Column("queues_json", sa.Text(), nullable=False),
        sa.Column("labels_json", sa.Text(), nullable=False),
        sa.Column("roles_json", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("used_slots", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("load_percent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("pending_outcomes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("host", sa.String(length=250), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("process_id", sa.BigInteger(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("poll_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("registered_time", sa.BigInteger(), nullable=False),
        sa.Column("last_heartbeat_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_worker")),
    )
    op.create_index(
        "uq_worker_name_live",
        "worker",
        ["team", "name"],
        unique=True,
        sqlite_where=sa.text("state IN ('active', 'draining')"),
        postgresql_where=sa.text("state IN ('active', 'draining')"),
    )
    op.create_table(
        "task_instance",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("run_key", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("task_index", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.Integer(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("upstream_succeeded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("upstream_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("upstream_skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("instances_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("instances_succeeded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("instances_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("instances_skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("instances_cancelled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("offer_key", sa.String(length=700), nullable=False),
        sa.Column("queue", sa.String(length=100), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("queued_time", sa.BigInteger(), nullable=True),
        sa.Column("first_start_time", sa.BigInteger(), nullable=True),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("try_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("losses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("worker_name", sa.String(length=100), nullable=True),
        sa.Column("language", sa.String(length=50), nullable=True),
        sa.Column("bundle_version", sa.String(length=128), nullable=True),
        sa.Column("failure_message", sa.LargeBinary(), nullable=True),
        sa.Column("resumption_message", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["run_key"], ["dag_run.id"], name=op.f("fk_task_instance_run_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_instance")),
        sa.UniqueConstraint(
            "run_key", "task_index", "map_index", name=op.f("uq_task_instance_run_key_task_index_map_index")
        ),
    )
    op.create_index(
        "ix_task_instance_claim",
        "task_instance",
        ["team", "offer_key", "queue", sa.literal_column("priority DESC"), "queued_time", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_task_instance_due",
        "task_instance",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("not_before IS NOT NULL"),
        postgresql_where=sa.text("not_before IS NOT NULL"),
    )
    op.create_index("ix_task_instance_parent", "task_instance", ["parent_id", "map_index"], unique=False)
    op.create_table(
        "worker_bundle",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["worker.instance_id"], name=op.f("fk_worker_bundle_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instance_id", "bundle", "version", name=op.f("pk_worker_bundle")),
    )
    op.create_index("ix_worker_bundle_version", "worker_bundle", ["team", "bundle", "version"], unique=False)
    op.create_table(
        "xcom",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("run_key", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("encoding", sa.String(length=100), nullable=False),
        sa.Column("metadata_json", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("item_count", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("write_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["dag_run.id"], name=op.f("fk_xcom_run_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_xcom")),
        sa.UniqueConstraint(
            "run_key", "task_id", "map_index", "key", name=op.f("uq_xcom_run_key_task_id_map_index_key")
        ),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task_instance_id", sa.String(length=36), nullable=False),
        sa.Column("run_key", sa.String(length=36), nullable=False),
        sa.Column("team", sa.String(length=100), nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("deliveries", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.String(length=250), nullable=False),
        sa.Column("bundle_version", sa.String(length=128), nullable=False),
        sa.Column("entry_point", sa.String(length=500), nullable=False),
        sa.Column("assigned_time", sa.BigInteger(), nullable=False),
        sa.Column("start_deadline", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("outcome_id", sa.String(length=36), nullable=True),
        sa.Column("failure_message", sa.LargeBinary(), nullable=True),
        sa.Column("cpu_time_us", sa.BigInteger(), nullable=True),
        sa.Column("max_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("requeue", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("log_next_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_closed", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.ForeignKeyConstraint(["task_instance_id"], ["task_instance.id"], name=op.f("fk_attempt_task_instance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(
        "ix_attempt_lease_expires",
        "attempt",
        ["lease_expires"],
        unique=False,
        sqlite_where=sa.text("state IN ('running', 'cancelling')"),
        postgresql_where=sa.text("state IN ('running', 'cancelling')"),
    )
    op.create_index(
        "ix_attempt_start_deadline",
        "attempt",
        ["start_deadline"],
        unique=False,
        sqlite_where=sa.text("state = 'assigned'"),
        postgresql_where=sa.text("state = 'assigned'"),
    )
    op.create_index("ix_attempt_task_instance_id", "attempt", ["task_instance_id"], unique=False)
    op.create_index(
        "ix_attempt_worker_live",
        "attempt",
        ["instance_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('assigned', 'running', 'cancelling')"),
        postgresql_where=sa.text("state IN ('assigned', 'running', 'cancelling')"),
    )
    op.create_index(
        "uq_attempt_live",
        "attempt",
        ["task_instance_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('assigned', 'running', 'cancelling')"),
        postgresql_where=sa.text("state IN ('assigned', 'running', 'cancelling')"),
    )
    op.create_table(
        "xcom_item",
        sa.Column("xcom_id", sa.String(length=36), nullable=False),
        sa.Column("item_index", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["xcom_id"], ["xcom.id"], name=op.f("fk_xcom_item_xcom_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("xcom_id", "item_index", name=op.f("pk_xcom_item")),
    )
    op.create_table(
        "log_chunk",
        sa.Column("attempt_id", sa.String(length=36), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("record_count", sa.Integer(), nullable=False),
        sa.Column("compression", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_log_chunk_attempt_id")),
        sa.PrimaryKeyConstraint("attempt_id", "first_sequence", name=op.f("pk_log_chunk")),
    )

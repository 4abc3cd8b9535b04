"""DAG runs, task instances, attempts and their logs."""

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
    Text,
    UniqueConstraint,
    text,
)

from crosswind_server.store.columns import count_column, flag_column, id_column, metadata, time_column

_NOT_ENDED = text("end_time IS NULL")
_GOING = text("state IN ('running', 'cancelling')")
_WAITING = text("state = 'queued'")
_OF_BACKFILL = text("backfill_id IS NOT NULL")
_BACKFILLING = text("backfill_id IS NOT NULL AND end_time IS NULL")

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
    # Tasks whose instances have not been made yet; until all are, nothing of the run begins. [SCHED-1]
    count_column("unmade"),
    # Whether task instances of another run wait for tasks of this one: rows of `past_wait`.
    flag_column("awaited"),
    flag_column("cancel_requested"),
    # How a run that somebody stops ends: `cancelled`, or as a person or its timeout said. NULL: nobody stops it.
    Column("final_state", String(20)),
    # Continuations that have not come to all of its task instances yet: until they have, the run does not end.
    count_column("holds"),
    # The DAG versions, as a JSON array, whose tasks come first in its numbering, where it was cleared into another
    # version: each task keeps its first number. NULL: the tasks are numbered by `dag_version_id` alone.
    Column("numbering_json", Text),
    # Whether it was cleared into another version and its instances have not all followed: until they have, none of them
    # is judged or assigned. [SCHED-1]
    flag_column("renewing"),
    # Of the assets that it was created for; empty: none.
    Column("partition_key", String(250), nullable=False, server_default=text("''")),
    Column("backfill_id", String(36)),
    # By when it should have ended, and whether it had not.
    time_column("deadline_time", nullable=True),
    flag_column("deadline_missed"),
    # Grows with every change that people can see, for long polls.
    Column("revision", BigInteger, nullable=False, server_default=text("1")),
    UniqueConstraint("team", "dag_id", "run_id"),
    Index("ix_dag_run_team_id", "team", "id"),
    Index("ix_dag_run_dag_id", "team", "dag_id", "id"),
    Index(
        "ix_dag_run_active",
        "team",
        "dag_id",
        sqlite_where=_NOT_ENDED,
        postgresql_where=_NOT_ENDED,
    ),
    # What a moment has a run for already, and which run was before another.
    Index("ix_dag_run_logical_time", "team", "dag_id", "logical_time"),
    # How many take part in the bound of active runs, and which of those that wait is the oldest.
    Index("ix_dag_run_running", "team", "dag_id", sqlite_where=_GOING, postgresql_where=_GOING),
    Index("ix_dag_run_queued", "team", "dag_id", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
    Index("ix_dag_run_backfill", "backfill_id", "id", sqlite_where=_OF_BACKFILL, postgresql_where=_OF_BACKFILL),
    Index("ix_dag_run_backfill_active", "backfill_id", sqlite_where=_BACKFILLING, postgresql_where=_BACKFILLING),
)

backfill = Table(
    "backfill",
    metadata,
    id_column("id", primary_key=True),
    Column("team", String(100), nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("state", String(20), nullable=False),
    # The version whose schedule says the moments; its runs begin with the DAG's current one.
    Column("dag_version_id", String(64), nullable=False),
    # The span of logical times, its end exclusive.
    time_column("start_time"),
    time_column("end_time"),
    Column("conf_message", LargeBinary),
    flag_column("reverse"),
    # What it does with moments that have a run: none, failed or ended.
    Column("reprocess", String(20), nullable=False),
    Column("max_active_runs", Integer, nullable=False),
    # Moments in the span; of these, runs that were created or cleared, and moments that were left alone.
    Column("total_count", BigInteger, nullable=False),
    Column("created_count", BigInteger, nullable=False, server_default=text("0")),
    Column("skipped_count", BigInteger, nullable=False, server_default=text("0")),
    # The moment that was looked at last; NULL before the first.
    time_column("last_logical_time", nullable=True),
    # True once it has looked at all of them.
    flag_column("exhausted"),
    Column("created_by", String(250), nullable=False),
    time_column("created_time"),
    time_column("finished_time", nullable=True),
    Index("ix_backfill_team_id", "team", "id"),
)

_FREE = {"sqlite": "held = 0", "postgresql": "NOT held"}
_CLAIMABLE = {name: text(f"state = 'queued' AND {free}") for name, free in _FREE.items()}
_HELD = {"sqlite": text("state = 'queued' AND held = 1"), "postgresql": text("state = 'queued' AND held")}
_ASKING = "state IN ('queued', 'assigned', 'running', 'cancelling')"
_ACTIVE_IN_RUN = {name: text(f"limit_group IS NOT NULL AND {free} AND {_ASKING}") for name, free in _FREE.items()}
_IN_POOL = text(f"pool IS NOT NULL AND {_ASKING}")
_IN_TASK_LIMIT = text("task_limit IS NOT NULL AND state IN ('assigned', 'running', 'cancelling')")
_NOT_BEFORE = text("not_before IS NOT NULL")
_WAITS_FOR = text("waits_for IS NOT NULL")
_WORKLOAD = text("task_index < 0")
_OPEN_WORKLOAD = text("task_index < 0 AND end_time IS NULL")

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
    count_column("instances_upstream_failed"),
    count_column("instances_skipped"),
    count_column("instances_cancelled"),
    # For a task of a mapped group: how many of the tasks over whose outputs it is mapped have ended and told it.
    count_column("sources_ended"),
    # JSON: which of its successors it skips when they are told of its end; NULL: none. See `domain.skipping`.
    Column("skips", Text),
    # The name of a mapped instance, made from its task's template when it starts; NULL: its index.
    Column("map_index_name", String(250)),
    Column("offer_key", String(700), nullable=False),
    Column("queue", String(100), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    # What a worker must be and what must be free: `claim_class.id`, and of that what is counted while it is live.
    Column("claim_class", String(40), nullable=False),
    Column("pool", String(250)),
    Column("pool_slots", Integer, nullable=False, server_default=text("1")),
    Column("task_limit", String(501)),
    # Its place among what waits, the smallest first: when it was queued, less a minute for a point of priority.
    Column("rank", BigInteger, nullable=False, server_default=text("0")),
    # What bounds it beside others of its run: NULL nothing, -1 its DAG, else its task (the position), perhaps its DAG.
    Column("limit_group", Integer),
    # Queued, and not claimable before such a bound admits it.
    flag_column("held"),
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
    # What a deferred or asking instance waits for beside its moment: `event:<name>`, `trigger:<entry point>`, `input`.
    Column("waits_for", String(510)),
    # Events of that name up to this number came before it began to wait.
    Column("event_number", BigInteger),
    # What it runs: a task, or for a task or a run a trigger, a callback or a timetable. The latter are no tasks: their
    # `task_index` is -1, their `map_index` a number of their own in the run, their `parent_id` the instance that they
    # are for (NULL: the run), and nothing counts them.
    Column("workload", String(20), nullable=False, server_default=text("'task'")),
    Column("workload_entry_point", String(500)),
    # The map index of the instance that they are for.
    Column("workload_map_index", Integer, nullable=False, server_default=text("-1")),
    # A trigger's arguments, or a `CallbackContext`.
    Column("workload_message", LargeBinary),
    UniqueConstraint("run_key", "task_index", "map_index"),
    # The claim: workers ask by the classes that they fit, best first.
    Index(
        "ix_task_instance_claim",
        "team",
        "claim_class",
        "rank",
        "id",
        sqlite_where=_CLAIMABLE["sqlite"],
        postgresql_where=_CLAIMABLE["postgresql"],
    ),
    # Bounds within a run: who waits for one, best first, and who is counted.
    Index(
        "ix_task_instance_held",
        "run_key",
        "limit_group",
        "rank",
        "id",
        sqlite_where=_HELD["sqlite"],
        postgresql_where=_HELD["postgresql"],
    ),
    Index(
        "ix_task_instance_held_class",
        "claim_class",
        sqlite_where=_HELD["sqlite"],
        postgresql_where=_HELD["postgresql"],
    ),
    Index(
        "ix_task_instance_active_in_run",
        "run_key",
        "limit_group",
        sqlite_where=_ACTIVE_IN_RUN["sqlite"],
        postgresql_where=_ACTIVE_IN_RUN["postgresql"],
    ),
    # Bounds over all runs: who takes slots of a pool or waits for some, and who is counted by a task's bound.
    Index(
        "ix_task_instance_pool",
        "team",
        "pool",
        "state",
        sqlite_where=_IN_POOL,
        postgresql_where=_IN_POOL,
    ),
    Index(
        "ix_task_instance_task_limit",
        "team",
        "task_limit",
        sqlite_where=_IN_TASK_LIMIT,
        postgresql_where=_IN_TASK_LIMIT,
    ),
    Index(
        "ix_task_instance_due",
        "not_before",
        sqlite_where=_NOT_BEFORE,
        postgresql_where=_NOT_BEFORE,
    ),
    Index("ix_task_instance_parent", "parent_id", "map_index"),
    # Who waits for an event.
    Index(
        "ix_task_instance_waits_for",
        "team",
        "waits_for",
        "id",
        sqlite_where=_WAITS_FOR,
        postgresql_where=_WAITS_FOR,
    ),
    # Workloads beside tasks that are not done: a run may have ended before them.
    Index(
        "ix_task_instance_workload",
        "team",
        "offer_key",
        sqlite_where=_OPEN_WORKLOAD,
        postgresql_where=_OPEN_WORKLOAD,
    ),
    # All of them, for people.
    Index("ix_task_instance_workloads", "team", "id", sqlite_where=_WORKLOAD, postgresql_where=_WORKLOAD),
)

# Which task instances wait for a task of an earlier run to end well: found when that task does.
past_wait = Table(
    "past_wait",
    metadata,
    Column("awaited_run_key", String(36), ForeignKey("dag_run.id"), primary_key=True),
    Column("task_id", String(250), primary_key=True),
    Column("instance_id", String(36), ForeignKey("task_instance.id"), primary_key=True),
    Column("run_key", String(36), nullable=False),
    Index("ix_past_wait_instance_id", "instance_id"),
)

_LIVE = text("state IN ('assigned', 'running', 'cancelling')")
_LEASED = text("state IN ('running', 'cancelling')")
_ASSIGNED = text("state = 'assigned'")
_TIMED = text("state = 'running' AND timeout_due IS NOT NULL")

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
    # When the server ends it, had its worker not: execution timeout, grace and a heartbeat after the start.
    time_column("timeout_due", nullable=True),
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
    Index(
        "ix_attempt_timeout_due",
        "timeout_due",
        sqlite_where=_TIMED,
        postgresql_where=_TIMED,
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

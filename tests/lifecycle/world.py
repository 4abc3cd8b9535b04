"""A small Crosswind in memory, built on the real rules: tasks, attempts, workers and one clock.

It decides nothing itself: every event goes through `lifecycle.transition`, every end through `retry`, every
registration through `registration.admit`. Events go to all attempts that they could concern, ended ones too, so that
the table alone says what is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from crosswind_server.domain import retry
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.leases import may_expire, overdue
from crosswind_server.domain.lifecycle import (
    LIVE,
    TABLE,
    Attempt,
    Event,
    LeaseEffect,
    Reply,
    Step,
    Table,
    TaskEffect,
    answer_unknown,
    transition,
)
from crosswind_server.domain.registration import Admission, Incumbent, admit
from crosswind_server.domain.retry import Counters, RetryPolicy, Settlement
from crosswind_server.domain.states import (
    IDLE_TASK_STATES,
    LIVE_WORKER_STATES,
    AttemptState,
    TaskState,
    WorkerState,
)
from tests.lifecycle.commands import SECOND, AttemptView, Brought, Command, Snapshot, TaskView, span

HEARTBEAT_US, LEASE_US, START_DEADLINE_US = 5 * SECOND, 30 * SECOND, 10 * SECOND


@dataclass
class Task:
    policy: RetryPolicy
    state: TaskState = TaskState.QUEUED
    counters: Counters = field(default_factory=Counters)
    not_before_us: int | None = None


@dataclass
class Lease:
    """An attempt in the world, with the clocks that the pure attempt does not carry."""

    attempt: Attempt
    task: str
    worker: str
    try_number: int
    start_due_us: int
    lease_due_us: int


@dataclass
class Worker:
    state: WorkerState
    heard_us: int


@dataclass(frozen=True)
class Ending:
    """What a finish says besides its kind."""

    retryable: bool = True
    retry_after_us: int | None = None
    wake_at_us: int | None = None


class World:
    """Executes commands. `visited` collects the cells that were read, for coverage."""

    def __init__(self, table: Table = TABLE) -> None:
        self.table = table
        self.now_us = 1_000 * SECOND
        self.accepting_since_us: int | None = self.now_us
        self.tasks: dict[str, Task] = {}
        self.leases: dict[str, Lease] = {}
        self.workers: dict[str, Worker] = {}
        self.visited: set[tuple[AttemptState, Event]] = set()
        self.rules: set[str] = set()

    # -- what tests look at

    def snapshot(self) -> Snapshot:
        return Snapshot(
            tasks={n: self._task_view(t) for n, t in self.tasks.items()},
            attempts={n: self._attempt_view(x) for n, x in self.leases.items()},
            workers={n: w.state.name for n, w in self.workers.items()},
        )

    def execute(self, text: str) -> tuple[str, ...]:
        """Runs one command and returns its replies, one a line."""
        command = Command.parse(text)
        if self.accepting_since_us is None and command.verb not in ("advance", "restart", "task"):
            return ("unreachable",)
        handler = getattr(self, "do_" + command.verb.replace("-", "_"))
        replies: Iterable[str] = handler(command)
        return tuple(replies)

    # -- commands

    def do_task(self, c: Command) -> Iterable[str]:
        policy = RetryPolicy(
            retries=int(c.options.get("retries", "0")),
            lost_budget=int(c.options.get("lost_budget", "3")),
            delay_us=c.seconds("delay") or 0,
            multiplier=2.0,
        )
        self.tasks[c.names[0]] = Task(policy)
        return ()

    def do_register(self, c: Command) -> Iterable[str]:
        key = c.names[0]
        name = key.split(".")[0]
        others = [k for k in self.workers if k.split(".")[0] == name]
        newest = others[-1] if others else None
        incumbent = (
            Incumbent(instance_id=newest, state=self.workers[newest].state, heard_us=self.workers[newest].heard_us)
            if newest
            else None
        )
        own = self.workers.get(key)
        assert self.accepting_since_us is not None
        try:
            admission = admit(
                name,
                incumbent,
                instance_id=key,
                own_state=own.state if own else None,
                predecessor_id=c.options.get("folder"),
                now_us=self.now_us,
                listening_since_us=self.accepting_since_us,
                heartbeat_us=HEARTBEAT_US,
            )
        except Refused as refused:
            yield _shown(refused)
            return
        yield admission.name
        for brought in Brought.parse(c.options.get("brings", "")):
            yield self._finish(brought.attempt, brought.kind, brought.outcome, Ending())
        if newest and admission is Admission.SUPERSEDE:
            for attempt_id in self._of_worker(newest):
                self._apply(attempt_id, Event.SUPERSEDE)
            self.workers[newest].state = WorkerState.SUPERSEDED
        self.workers[key] = Worker(WorkerState.ACTIVE, self.now_us)

    def do_lease(self, c: Command) -> Iterable[str]:
        worker, name = c.names
        task = self.tasks[name]
        if (refused := self._hear(worker)) is not None:
            return (refused,)
        effect = TaskEffect.ASSIGN
        if newest := self._newest(name):
            step = self._apply(newest, Event.ASSIGN)
            if step.reply is not Reply.OK:
                return (_shown(step.reply),)
            effect = step.task_effect
        if task.state is not TaskState.QUEUED:
            return (f"NOT_QUEUED {task.state.name}",)
        if self.workers[worker].state is not WorkerState.ACTIVE:
            return ("NO_WORK",)
        number = sum(1 for x in self.leases.values() if x.task == name) + 1
        attempt_id = f"{name}#{number}"
        self.leases[attempt_id] = Lease(
            attempt=Attempt(attempt_id=attempt_id),
            task=name,
            worker=worker,
            try_number=task.counters.next_try_number,
            start_due_us=self.now_us + START_DEADLINE_US,
            lease_due_us=self.now_us + LEASE_US,
        )
        if effect is TaskEffect.ASSIGN:
            task.state = TaskState.ASSIGNED
        return (f"LEASE {attempt_id} try={task.counters.next_try_number}",)

    def do_poll(self, c: Command) -> Iterable[str]:
        worker = c.names[0]
        if (refused := self._hear(worker)) is not None:
            yield refused
            return
        listed = c.options.get("lists", "").split(",")
        for attempt_id in self._of_worker(worker):
            if attempt_id in listed:
                continue
            step = self._apply(attempt_id, Event.REDELIVER)
            if step.reply is not Reply.NONE:
                yield f"{_shown(step.reply)} {attempt_id} delivery={step.attempt.deliveries}"

    def do_heartbeat(self, c: Command) -> Iterable[str]:
        worker, *attempts = c.names
        if (refused := self._hear(worker)) is not None:
            yield refused
            return
        for attempt_id in attempts:
            yield f"{self._call(attempt_id, Event.HEARTBEAT)} {attempt_id}"

    def do_start(self, c: Command) -> Iterable[str]:
        return (self._call(c.names[0], Event.START),)

    def do_write(self, c: Command) -> Iterable[str]:
        return (self._call(c.names[0], Event.WRITE),)

    def do_logs(self, c: Command) -> Iterable[str]:
        return (self._call(c.names[0], Event.APPEND_LOGS),)

    def do_time_out(self, c: Command) -> Iterable[str]:
        self._apply(c.names[0], Event.EXECUTION_TIMEOUT)
        return ()

    def do_close_logs(self, c: Command) -> Iterable[str]:
        lease = self.leases[c.names[0]]
        if lease.attempt.state in LIVE:
            return ("STILL_LIVE",)
        a = lease.attempt
        lease.attempt = Attempt(
            attempt_id=a.attempt_id, state=a.state, deliveries=a.deliveries, outcome_id=a.outcome_id, logs_closed=True
        )
        return ()

    def do_finish(self, c: Command) -> Iterable[str]:
        attempt_id, kind = c.names
        wake = c.seconds("wake")
        ending = Ending(
            retryable=c.options.get("retryable") != "no",
            retry_after_us=c.seconds("retry_after"),
            wake_at_us=None if wake is None else self.now_us + wake,
        )
        return (self._finish(attempt_id, kind, c.options["outcome"], ending),)

    def do_cancel(self, c: Command) -> Iterable[str]:
        name = c.names[0]
        task, newest = self.tasks[name], self._newest(name)
        if newest:
            self._apply(newest, Event.CANCEL)
        if task.state in IDLE_TASK_STATES:
            self._settle(task, retry.after_cancel(task.counters, was=task.state))
        return (task.state.name,)

    def do_clear(self, c: Command) -> Iterable[str]:
        name = c.names[0]
        task, newest = self.tasks[name], self._newest(name)
        if newest:
            self._apply(newest, Event.CLEAR)
        else:
            self._settle(task, retry.after_clear(task.counters, was=task.state))
        return (task.state.name,)

    def do_answer(self, c: Command) -> Iterable[str]:
        task = self.tasks[c.names[0]]
        if task.state is not TaskState.AWAITING_INPUT:
            return (f"NOT_ASKED {task.state.name}",)
        task.state = TaskState.QUEUED
        return ()

    def do_advance(self, c: Command) -> Iterable[str]:
        self.now_us += span(c.names[0])
        if self.accepting_since_us is None:
            return ()
        since = self.accepting_since_us / SECOND
        if may_expire(self.now_us / SECOND, since, LEASE_US / SECOND):
            for attempt_id, lease in self.leases.items():
                if overdue(due_us=lease.lease_due_us, now_us=self.now_us):
                    self._apply(attempt_id, Event.EXPIRE)
                if overdue(due_us=lease.start_due_us, now_us=self.now_us):
                    self._apply(attempt_id, Event.START_DEADLINE)
        timed = (TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE, TaskState.DEFERRED)
        for task in self.tasks.values():
            if task.state in timed and task.not_before_us is not None and task.not_before_us <= self.now_us:
                task.state, task.not_before_us = TaskState.QUEUED, None
        return ()

    def do_drain(self, c: Command) -> Iterable[str]:
        worker = c.names[0]
        if (refused := self._hear(worker)) is not None:
            return (refused,)
        for attempt_id in self._of_worker(worker):
            self._apply(attempt_id, Event.DRAIN)
        self.workers[worker].state = WorkerState.DRAINING
        return ()

    def do_deregister(self, c: Command) -> Iterable[str]:
        worker = c.names[0]
        if (refused := self._hear(worker)) is not None:
            return (refused,)
        for attempt_id in self._of_worker(worker):
            self._apply(attempt_id, Event.DEREGISTER)
        self.workers[worker].state = WorkerState.GONE
        return ()

    def do_stop(self, c: Command) -> Iterable[str]:
        for attempt_id in self.leases:
            self._apply(attempt_id, Event.DRAIN)
        self.accepting_since_us = None
        return ()

    def do_restart(self, c: Command) -> Iterable[str]:
        return self._come_back(Event.SERVER_START)

    def do_failover(self, c: Command) -> Iterable[str]:
        return self._come_back(Event.FAILOVER)

    # -- how events take effect

    def _come_back(self, event: Event) -> Iterable[str]:
        for attempt_id in self.leases:
            self._apply(attempt_id, event)
        self.accepting_since_us = self.now_us
        return ()

    def _finish(self, attempt_id: str, kind: str, outcome: str, ending: Ending) -> str:
        event = Event["FINISH_" + kind.upper()]
        return self._call(attempt_id, event, outcome_id=outcome, ending=ending)

    def _call(
        self, attempt_id: str, event: Event, *, outcome_id: str | None = None, ending: Ending | None = None
    ) -> str:
        if attempt_id not in self.leases:
            return _shown(answer_unknown(event, attempt_id=attempt_id))
        return _shown(self._apply(attempt_id, event, outcome_id=outcome_id, ending=ending).reply)

    def _apply(
        self,
        attempt_id: str,
        event: Event,
        *,
        outcome_id: str | None = None,
        ending: Ending | None = None,
    ) -> Step:
        lease = self.leases[attempt_id]
        was = lease.attempt.state
        step = transition(lease.attempt, event, outcome_id=outcome_id, table=self.table)
        self.visited.add((was, step.event))
        self.rules.update(step.cell.rules)
        lease.attempt = step.attempt
        if step.lease is LeaseEffect.EXTEND:
            lease.lease_due_us = self.now_us + LEASE_US
        task, how = self.tasks[lease.task], ending or Ending()
        match step.task_effect:
            case TaskEffect.RUN:
                task.state = TaskState.RUNNING
            case TaskEffect.CANCELLING:
                task.state = TaskState.CANCELLING
            case TaskEffect.SETTLE | TaskEffect.RETURN:
                settlement = retry.after_attempt(
                    step.attempt.state,
                    counters=task.counters,
                    policy=task.policy,
                    now_us=self.now_us,
                    retryable=how.retryable,
                    retry_after_us=how.retry_after_us,
                    wake_at_us=how.wake_at_us,
                )
                self._settle(task, settlement)
            case TaskEffect.CANCEL:
                self._settle(task, retry.after_cancel(task.counters, was=task.state))
            case TaskEffect.CLEAR:
                self._settle(task, retry.after_clear(task.counters, was=task.state))
            case _:
                pass
        return step

    def _settle(self, task: Task, settlement: Settlement) -> None:
        task.state, task.counters, task.not_before_us = (
            settlement.state,
            settlement.counters,
            settlement.not_before_us,
        )

    def _hear(self, worker: str) -> str | None:
        """A sign of life; the refusal if the instance is not live."""
        if worker not in self.workers:
            return _shown(Refused(Reason.WORKER_UNKNOWN, "unknown"))
        if self.workers[worker].state not in LIVE_WORKER_STATES:
            return _shown(Refused(Reason.WORKER_SUPERSEDED, "superseded"))
        self.workers[worker].heard_us = self.now_us
        return None

    def _newest(self, task: str) -> str | None:
        mine = [attempt_id for attempt_id, x in self.leases.items() if x.task == task]
        return mine[-1] if mine else None

    def _of_worker(self, worker: str) -> list[str]:
        return [attempt_id for attempt_id, x in self.leases.items() if x.worker == worker]

    @staticmethod
    def _task_view(task: Task) -> TaskView:
        c = task.counters
        return (task.state.name, c.tries, c.failures, c.losses, task.not_before_us)

    @staticmethod
    def _attempt_view(lease: Lease) -> AttemptView:
        a = lease.attempt
        return (a.state.name, a.deliveries, a.outcome_id)


def _shown(reply: Reply | Refused) -> str:
    return f"error {reply.code}/{reply.reason}" if isinstance(reply, Refused) else reply.name

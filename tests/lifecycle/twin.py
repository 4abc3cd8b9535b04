"""The slow, obvious twin of the world: it keeps nothing but the history, and tells every time from its beginning.

Written from the rules' sentences alone. It knows neither the table nor `retry` nor `registration`: it notes facts
("started at", "asked to end by", "ended as") and derives states, budgets and replies from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lifecycle.commands import SECOND, AttemptView, Brought, Command, Snapshot, TaskView, span

HEARTBEAT, LEASE, START_DEADLINE = 5 * SECOND, 30 * SECOND, 10 * SECOND
STALE = "error FAILED_PRECONDITION/STALE_LEASE"
UNKNOWN = "error NOT_FOUND/UNKNOWN_ATTEMPT"
STOPPING = "error FAILED_PRECONDITION/ATTEMPT_CANCELLING"
NOT_STARTED = "error FAILED_PRECONDITION/ATTEMPT_NOT_STARTED"
CONFLICT = "error ABORTED/OUTCOME_CONFLICT"
GONE = "error FAILED_PRECONDITION/WORKER_SUPERSEDED"

SUSPENDED = {"deferred": "DEFERRED", "rescheduled": "UP_FOR_RESCHEDULE", "awaiting_input": "AWAITING_INPUT"}


@dataclass
class Story:
    """What happened to one attempt."""

    task: str
    worker: str
    assigned_at: int
    era: int
    started_at: int | None = None
    heard_at: int | None = None
    asked: str | None = None
    ended: str | None = None
    """An outcome's kind, or: lost, returned, revoked, undelivered."""
    outcome: str | None = None
    deliveries: int = 1
    logs_closed: bool = False

    @property
    def state(self) -> str:
        if self.ended:
            return {"revoked": "CANCELLED", "undelivered": "FAILED"}.get(self.ended, self.ended.upper())
        if self.started_at is None:
            return "ASSIGNED"
        return "CANCELLING" if self.asked else "RUNNING"


@dataclass
class Chapter:
    """What is known of one task instance."""

    retries: int
    lost_budget: int
    delay: int
    idle: str = "QUEUED"
    """Its state while no attempt lives."""
    due: int | None = None
    era: int = 0
    """How often it was cleared."""
    abandoned: int = 0
    """Tries that were suspended when the task was cancelled or cleared."""


@dataclass
class Twin:
    """`tell` the next command, and compare the answer and the `snapshot` with the world's."""

    history: list[str] = field(default_factory=list)

    def tell(self, text: str) -> tuple[str, ...]:
        self.history.append(text)
        self.tale = Tale()
        replies: tuple[str, ...] = ()
        for line in self.history:
            replies = self.tale.go_on(line)
        return replies

    def snapshot(self) -> Snapshot:
        return self.tale.snapshot()


class Tale:
    """One telling of a history."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND
        self.listening: int | None = self.now
        self.tasks: dict[str, Chapter] = {}
        self.attempts: dict[str, Story] = {}
        self.workers: dict[str, tuple[str, int]] = {}

    def go_on(self, line: str) -> tuple[str, ...]:
        c = Command.parse(line)
        if self.listening is None and c.verb not in ("advance", "restart", "task"):
            return ("unreachable",)
        first = c.names[0] if c.names else ""
        match c.verb:
            case "task":
                o = c.options
                self.tasks[first] = Chapter(
                    int(o.get("retries", 0)), int(o.get("lost_budget", 3)), span(o.get("delay", "0s"))
                )
                return ()
            case "register":
                return tuple(self.register(c))
            case "lease" | "poll" | "heartbeat" | "drain" | "deregister":
                return tuple(self.worker_calls(c))
            case "start" | "write" | "logs":
                return (self.attempt_calls(c.verb, first),)
            case "finish":
                return (self.finish(first, c.names[1], c.options),)
            case "time-out":
                timed = self.attempts[first]
                if not timed.ended and timed.started_at is not None and not timed.asked:
                    self.end(timed, "failed")
                return ()
            case "close-logs":
                if not self.attempts[first].ended:
                    return ("STILL_LIVE",)
                self.attempts[first].logs_closed = True
                return ()
            case "cancel" | "clear":
                return (self.stop(c.verb, first),)
            case "answer":
                if self.task_state(first) != "AWAITING_INPUT":
                    return (f"NOT_ASKED {self.task_state(first)}",)
                self.tasks[first].idle = "QUEUED"
                return ()
            case "advance":
                self.now += span(first)
                if self.listening is not None:
                    self.time_passes()
                return ()
            case "stop":
                self.listening = None
                return ()
            case "restart" | "failover":
                self.listening = self.now
                return ()
        raise AssertionError(line)

    # -- derived from the facts

    def attempts_of(self, task: str) -> list[Story]:
        return [a for a in self.attempts.values() if a.task == task]

    def task_state(self, name: str) -> str:
        live = [a for a in self.attempts_of(name) if not a.ended]
        assert len(live) <= 1, f"LEASE-1: {name} has {len(live)} valid leases"
        return live[0].state if live else self.tasks[name].idle

    def counts(self, name: str) -> tuple[int, int, int]:
        mine, era = self.attempts_of(name), self.tasks[name].era
        used = {"succeeded", "failed", "undelivered", "skipped", "cancelled", "lost"}
        tries = sum(a.ended in used for a in mine) + self.tasks[name].abandoned
        failures = sum(a.ended in ("failed", "undelivered") and a.era == era for a in mine)
        # An attempt that was lost after it had been asked to end costs nothing but its try.
        losses = sum(a.ended == "lost" and not a.asked and a.era == era for a in mine)
        return tries, failures, losses

    def snapshot(self) -> Snapshot:
        tasks: dict[str, TaskView] = {}
        for name, task in self.tasks.items():
            tasks[name] = (self.task_state(name), *self.counts(name), task.due)
        attempts: dict[str, AttemptView] = {n: (a.state, a.deliveries, a.outcome) for n, a in self.attempts.items()}
        return Snapshot(tasks, attempts, {n: state for n, (state, _) in self.workers.items()})

    # -- what befalls attempts

    def end(self, a: Story, how: str, options: dict[str, str] | None = None) -> None:
        """The attempt ends; the task goes where its wishes and budgets lead."""
        options = options or {}
        task = self.tasks[a.task]
        a.ended = how
        task.due = None
        if a.asked == "cancel":
            task.idle = "CANCELLED"
        elif a.asked == "clear":
            task.idle = "QUEUED"
            task.era += 1
        elif how == "returned":
            task.idle = "QUEUED"
        elif how == "lost":
            task.idle = "QUEUED" if self.counts(a.task)[2] <= task.lost_budget else "FAILED"
        elif how in ("failed", "undelivered"):
            failures = self.counts(a.task)[1]
            if options.get("retryable") == "no" or failures > task.retries:
                task.idle = "FAILED"
            else:
                task.idle = "UP_FOR_RETRY"
                wait = span(options["retry_after"]) if "retry_after" in options else task.delay * 2 ** (failures - 1)
                task.due = self.now + wait
        elif how in SUSPENDED:
            task.idle = SUSPENDED[how]
            wake = self.now + span(options["wake"]) if "wake" in options else None
            task.due = self.now if how == "rescheduled" and wake is None else wake
        else:
            task.idle = how.upper()

    def attempt_calls(self, verb: str, name: str) -> str:
        a = self.attempts.get(name)
        if a is None:
            return UNKNOWN
        if verb == "logs":
            return STALE if a.logs_closed else "OK"
        if a.ended:
            return STALE
        if a.state == "CANCELLING":
            return STOPPING
        if verb == "write":
            return "OK" if a.started_at is not None else NOT_STARTED
        if a.started_at is None:
            a.started_at = a.heard_at = self.now
        return "OK"

    def finish(self, name: str, kind: str, options: object) -> str:
        assert isinstance(options, dict)
        a = self.attempts.get(name)
        if a is None:
            return UNKNOWN
        if a.outcome is not None:
            return "OK" if a.outcome == options["outcome"] else CONFLICT
        if a.ended:
            return STALE
        if a.started_at is None:
            return NOT_STARTED
        a.outcome = options["outcome"]
        self.end(a, "cancelled" if a.asked else kind, options)
        return "OK"

    def stop(self, wish: str, name: str) -> str:
        """Cancel or clear a task instance."""
        task = self.tasks[name]
        live = [a for a in self.attempts_of(name) if not a.ended]
        if live:
            live[0].asked = wish
            if live[0].started_at is None:
                self.end(live[0], "revoked")
        elif wish == "clear" or task.idle not in ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED"):
            task.abandoned += task.idle in SUSPENDED.values()
            task.due = None
            task.idle = "CANCELLED" if wish == "cancel" else "QUEUED"
            task.era += wish == "clear"
        return self.task_state(name)

    def time_passes(self) -> None:
        assert self.listening is not None
        if self.now - self.listening >= LEASE:
            for a in self.attempts.values():
                if a.ended:
                    continue
                if a.started_at is None:
                    if self.now > a.assigned_at + START_DEADLINE:
                        self.end(a, "returned")
                elif a.heard_at is not None and self.now > a.heard_at + LEASE:
                    self.end(a, "lost")
        for task in self.tasks.values():
            if task.due is not None and task.due <= self.now:
                task.idle, task.due = "QUEUED", None

    # -- workers

    def register(self, c: Command) -> list[str]:
        key = c.names[0]
        same_name = [k for k in self.workers if k.split(".")[0] == key.split(".")[0]]
        assert self.listening is not None
        if key in self.workers and self.workers[key][0] in ("SUPERSEDED", "GONE"):
            return [GONE]
        newest = same_name[-1] if same_name else None
        old: str | None = None
        if newest is None or (newest != key and self.workers[newest][0] not in ("ACTIVE", "DRAINING")):
            replies = ["NEW"]
        elif newest == key:
            replies = ["RESUME"]
        elif (
            c.options.get("folder") == newest or self.now - max(self.workers[newest][1], self.listening) > 2 * HEARTBEAT
        ):
            replies, old = ["SUPERSEDE"], newest
        else:
            return ["error ALREADY_EXISTS/WORKER_NAME_IN_USE"]
        for brought in Brought.parse(c.options.get("brings", "")):
            replies.append(self.finish(brought.attempt, brought.kind, {"outcome": brought.outcome}))
        if old:
            self.leaves(old)
            self.workers[old] = ("SUPERSEDED", self.workers[old][1])
        self.workers[key] = ("ACTIVE", self.now)
        return replies

    def leaves(self, worker: str) -> None:
        for a in self.attempts.values():
            if a.worker == worker and not a.ended:
                self.end(a, "returned" if a.started_at is None else "lost")

    def worker_calls(self, c: Command) -> list[str]:
        worker, *names = c.names
        if worker not in self.workers:
            return ["error NOT_FOUND/WORKER_UNKNOWN"]
        state = self.workers[worker][0]
        if state not in ("ACTIVE", "DRAINING"):
            return [GONE]
        self.workers[worker] = (state, self.now)
        if c.verb == "drain":
            self.workers[worker] = ("DRAINING", self.now)
            return []
        if c.verb == "deregister":
            self.leaves(worker)
            self.workers[worker] = ("GONE", self.now)
            return []
        if c.verb == "lease":
            return [self.lease(worker, names[0])]
        return self.poll(worker, c) if c.verb == "poll" else [self.beat(name) for name in names]

    def lease(self, worker: str, name: str) -> str:
        if any(not a.ended for a in self.attempts_of(name)):
            return "HELD"
        if self.task_state(name) != "QUEUED":
            return f"NOT_QUEUED {self.task_state(name)}"
        if self.workers[worker][0] != "ACTIVE":
            return "NO_WORK"
        key = f"{name}#{len(self.attempts_of(name)) + 1}"
        number = self.counts(name)[0] + 1
        self.attempts[key] = Story(name, worker, self.now, self.tasks[name].era)
        return f"LEASE {key} try={number}"

    def poll(self, worker: str, c: Command) -> list[str]:
        sent = []
        for key, a in self.attempts.items():
            unstarted = a.worker == worker and not a.ended and a.started_at is None
            if not unstarted or key in c.options.get("lists", "").split(","):
                continue
            if a.deliveries == 5:
                self.end(a, "undelivered")
            else:
                a.deliveries += 1
                sent.append(f"LEASE {key} delivery={a.deliveries}")
        return sent

    def beat(self, name: str) -> str:
        a = self.attempts.get(name)
        if a is None or a.ended:
            return f"LOST {name}"
        if a.started_at is None:
            return f"CONTINUE {name}"
        a.heard_at = self.now
        return f"{'CANCEL' if a.asked else 'CONTINUE'} {name}"

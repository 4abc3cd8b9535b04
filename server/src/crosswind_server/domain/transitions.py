"""What a task instance and a run may become: two tables of events, states and what they lead to.

Everything that the server does to the state of a task instance or a run is a row here, as data: `docs/lifecycle.md` is
drawn from it, and the tests hold every change of every test's database to it, and every row to some test. How an
attempt lives is in `lifecycle`; which state follows in a case is decided by `retry`, `readiness` and who calls them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from crosswind_server.domain.states import (
    IDLE_TASK_STATES,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    RunState,
    TaskState,
)

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """What an event may make of something.

    Args:
        event: what happens.
        states: in which states it may happen; None: to what does not exist yet.
        to: what may follow.
        why: when and why, as a sentence's end.
        rules: the rules that ask for it.
    """

    event: str
    states: Collection[S | None]
    to: Collection[S]
    why: str
    rules: tuple[str, ...]

    def moves(self) -> Iterator[tuple[S | None, S]]:
        """Every change of a state that the row allows."""
        return ((was, became) for was in self.states for became in self.to if was is not became)


class Table(Generic[S]):
    """Rows, and what they allow.

    Args:
        rows: in the order of the page.
        through: states that a transaction may only pass through, so that what is seen of it is two rows at once.
    """

    def __init__(self, rows: tuple[Row[S], ...], *, through: tuple[S, ...]) -> None:
        self.rows = rows
        self.through = through
        self._by_move: dict[tuple[S | None, S], list[Row[S]]] = {}
        for row in rows:
            for move in row.moves():
                self._by_move.setdefault(move, []).append(row)

    @property
    def rules(self) -> frozenset[str]:
        """The rules that its rows cite."""
        return frozenset(rule for row in self.rows for rule in row.rules)

    def explain(self, was: S | None, became: S) -> list[tuple[Row[S], S | None, S]]:
        """The rows by which a transaction may have made this of that, each with its part of it.

        Empty: it must not happen.
        """
        if direct := self._by_move.get((was, became)):
            return [(row, was, became) for row in direct]
        for state in self.through:
            first, second = self._by_move.get((was, state)), self._by_move.get((state, became))
            if first and second:
                return [*((row, was, state) for row in first), *((row, state, became) for row in second)]
        return []


class TaskEvent(StrEnum):
    """What happens to a task instance."""

    MAKE = "make"
    READY = "ready"
    SKIP = "skip"
    FAIL_UPSTREAM = "fail upstream"
    EXPAND = "expand"
    REFUSE_TO_EXPAND = "refuse to expand"
    PASS = "pass"
    INSTANCES_END = "instances end"
    REMOVE = "remove"
    ASSIGN = "assign"
    START = "start"
    RETURN = "return"
    GIVE_UP = "give up"
    FINISH = "finish"
    LOSE = "lose"
    WAKE = "wake"
    TIME_OUT = "time out"
    STRAND = "strand"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    CLEAR = "clear"
    MARK = "mark"


class RunEvent(StrEnum):
    """What happens to a run."""

    CREATE = "create"
    BEGIN = "begin"
    END = "end"
    STOP = "stop"
    STOPPED = "stopped"
    CLEAR = "clear"
    MARK = "mark"


_T, _R = TaskState, RunState
_SUSPENDED: Final = (_T.UP_FOR_RETRY, _T.UP_FOR_RESCHEDULE, _T.DEFERRED, _T.AWAITING_INPUT)

# fmt: off
TASKS: Final = Table[TaskState]((
    Row(TaskEvent.MAKE, (None,), (_T.WAITING,),
        "its run began, or its group was expanded", ("SCHED-1",)),
    Row(TaskEvent.MAKE, (None,), (_T.QUEUED,),
        "its task was expanded: one of its instances", ("SCHED-1",)),
    Row(TaskEvent.READY, (_T.WAITING,), (_T.QUEUED,),
        "how its upstream tasks ended meets its trigger rule", ("SCHED-1", "SCHED-2")),
    Row(TaskEvent.SKIP, (_T.WAITING,), (_T.SKIPPED,),
        "its trigger rule can no longer be met, a task before it chose another way, or there is nothing to map over",
        ("SCHED-1", "SCHED-2")),
    Row(TaskEvent.FAIL_UPSTREAM, (_T.WAITING,), (_T.UPSTREAM_FAILED,),
        "a failure before it broke its trigger rule", ("SCHED-1", "SCHED-2")),
    Row(TaskEvent.EXPAND, (_T.WAITING,), (_T.EXPANDED,),
        "it is mapped and may run: its instances replace it", ("SCHED-1",)),
    Row(TaskEvent.REFUSE_TO_EXPAND, (_T.WAITING,), (_T.FAILED,),
        "what it is mapped over is no list, or has too many items", ("SCHED-1",)),
    Row(TaskEvent.PASS, (_T.WAITING,), (_T.SUCCEEDED,),
        "the server decides it itself, without a worker", ("SCHED-1",)),
    Row(TaskEvent.INSTANCES_END, (_T.EXPANDED,),
        (_T.SUCCEEDED, _T.FAILED, _T.SKIPPED, _T.UPSTREAM_FAILED, _T.CANCELLED),
        "the last of its instances ended; the worst end counts", ("SCHED-1", "SCHED-2")),
    Row(TaskEvent.ASSIGN, (_T.QUEUED,), (_T.ASSIGNED,),
        "a worker with room took it", ("LEASE-1",)),
    Row(TaskEvent.START, (_T.ASSIGNED,), (_T.RUNNING,),
        "its worker has begun", ("LEASE-2",)),
    Row(TaskEvent.RETURN, (_T.ASSIGNED,), (_T.QUEUED,),
        "nobody started it, or its worker left before", ("LEASE-2",)),
    Row(TaskEvent.GIVE_UP, (_T.ASSIGNED,), (_T.UP_FOR_RETRY, _T.FAILED),
        "no delivery came to a start; that is a failure", ("LEASE-2",)),
    Row(TaskEvent.FINISH, (_T.RUNNING,),
        (_T.SUCCEEDED, _T.SKIPPED, _T.FAILED, _T.UP_FOR_RETRY, _T.CANCELLED),
        "its worker said so; a failure is tried again within its retries", ("FIN-1",)),
    Row(TaskEvent.FINISH, (_T.RUNNING,), (_T.DEFERRED, _T.UP_FOR_RESCHEDULE, _T.AWAITING_INPUT),
        "it gave its slot away until something wakes it", ("FIN-1",)),
    Row(TaskEvent.LOSE, (_T.RUNNING,), (_T.QUEUED, _T.FAILED),
        "its lease expired or its worker left; it is tried again within its budget of losses", ("LEASE-3", "WORKER-1")),
    Row(TaskEvent.WAKE, _SUSPENDED, (_T.QUEUED,),
        "its moment, its event, its trigger or its answer came, or the time for it is up", ("SCHED-2",)),
    Row(TaskEvent.CANCEL, IDLE_TASK_STATES | {_T.ASSIGNED}, (_T.CANCELLED,),
        "somebody cancelled it or its run, and nothing of it runs", ("LEASE-4",)),
    Row(TaskEvent.CANCEL, (_T.RUNNING,), (_T.CANCELLING,),
        "somebody cancelled, cleared or marked it or its run; its worker is told until it confirms", ("LEASE-4",)),
    Row(TaskEvent.CONFIRM, (_T.CANCELLING,), (_T.CANCELLED,),
        "its worker confirmed, or is gone", ("LEASE-4",)),
    Row(TaskEvent.CLEAR, (_T.CANCELLING, _T.ASSIGNED), (_T.WAITING,),
        "the attempt that a clear met has ended", ("LEASE-4",)),
    Row(TaskEvent.CLEAR, TERMINAL_TASK_STATES | IDLE_TASK_STATES - {_T.WAITING}, (_T.WAITING,),
        "somebody cleared it: it waits as if it had never run", ("SCHED-1",)),
    Row(TaskEvent.REMOVE, frozenset(TaskState) - {_T.REMOVED}, (_T.REMOVED,),
        "it is not part of the run any more", ("SCHED-1",)),
    Row(TaskEvent.STRAND, IDLE_TASK_STATES - {_T.EXPANDED} | {_T.ASSIGNED}, (_T.FAILED,),
        "nobody offers its run's version any more, and no newer one has it", ("SCHED-3",)),
    Row(TaskEvent.TIME_OUT, (_T.DEFERRED, _T.AWAITING_INPUT), (_T.UP_FOR_RETRY, _T.FAILED),
        "the trigger that it waits for failed, or nobody answered in time; that is a failure", ("SCHED-2",)),
    Row(TaskEvent.MARK, IDLE_TASK_STATES, (_T.SUCCEEDED, _T.SKIPPED),
        "somebody said how its run ended: what has not begun never will", ("LEASE-4",)),
    Row(TaskEvent.MARK, TERMINAL_TASK_STATES | IDLE_TASK_STATES | {_T.ASSIGNED, _T.CANCELLING},
        (_T.SUCCEEDED, _T.FAILED, _T.SKIPPED),
        "somebody said how it ended; what ran has been ended before", ("LEASE-4",)),
), through=(_T.WAITING,))
"""What may become of a task instance."""

RUNS: Final = Table[RunState]((
    Row(RunEvent.CREATE, (None,), (_R.QUEUED,),
        "it was triggered, or it is time; it may begin at once", ("SCHED-1",)),
    Row(RunEvent.BEGIN, (_R.QUEUED,), (_R.RUNNING,),
        "its DAG is not paused and has room for it", ("SCHED-1",)),
    Row(RunEvent.END, (_R.RUNNING, _R.QUEUED), (_R.SUCCEEDED, _R.FAILED),
        "all its task instances have ended; its leaves decide", ("SCHED-1",)),
    Row(RunEvent.STOP, (_R.RUNNING, _R.QUEUED), (_R.CANCELLING,),
        "somebody cancelled it or said how it ended, or its time is up", ("LEASE-4",)),
    Row(RunEvent.STOPPED, (_R.CANCELLING,), (_R.CANCELLED, _R.SUCCEEDED, _R.FAILED),
        "nothing of it runs any more; it ends as was asked for", ("LEASE-4",)),
    Row(RunEvent.CLEAR, TERMINAL_RUN_STATES, (_R.QUEUED, _R.RUNNING),
        "somebody cleared it or a task of it", ("SCHED-1",)),
), through=(_R.QUEUED, _R.CANCELLING))
"""What may become of a run."""
# fmt: on

"""An audit of a whole database: what LEASE, FIN and SCHED rules promise at all times, recomputed from its rows.

It reads the tables as they are and knows no counter, queue or continuation but as rows: whatever moved them, after
every committed transaction all of this holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, select

from crosswind_server.domain.states import (
    LIVE_TASK_STATES,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    TaskState,
)
from crosswind_server.store.engine import Store
from crosswind_server.store.schema import attempt, continuation, dag, dag_run, task_instance, timer
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.lifecycle.graph_twin import FAILED, SKIPPED, SUCCEEDED, UPSTREAM_FAILED, WAITING, Node, decide

_ENDED: Final = frozenset(state.value for state in TERMINAL_TASK_STATES)
_LIVE: Final = frozenset(state.value for state in LIVE_TASK_STATES)
_ENDED_RUNS: Final = frozenset(state.value for state in TERMINAL_RUN_STATES)
_AS_SEEN: Final = {
    "succeeded": SUCCEEDED,
    "failed": FAILED,
    "cancelled": FAILED,
    "skipped": SKIPPED,
    "upstream_failed": UPSTREAM_FAILED,
}
"""How a task that ended counts for those after it."""


class Audit:
    """Looks again and again, and remembers what must not change.

    Args:
        dags: the graph of every DAG whose runs are looked at; those of others are left out.
    """

    def __init__(self, dags: Mapping[str, Sequence[Node]]) -> None:
        self._dags = dags
        self._ends: dict[str, tuple[str, str | None]] = {}

    def look(self, store: Store, *, prefix: str = "") -> None:
        """Raises `AssertionError` where a promise is not kept.

        Args:
            prefix: only runs whose ids begin so are looked at.
        """
        found = store.read_blocking(lambda uow: self._read(uow, prefix))
        runs, instances, attempts, left, timers, dags = found
        by_run: dict[str, list[Row[Any]]] = defaultdict(list)
        for instance in instances:
            by_run[instance.run_key].append(instance)
        continued = Counter(piece.run_key for piece in left)
        self._check_leases(instances, attempts)
        self._check_ends(attempts)
        for run in runs:
            if run.dag_id in self._dags:
                own = by_run[run.id]
                self._check_run(run, own, continued[run.id])
                pieces = [piece for piece in left if piece.run_key == run.id]
                self._check_expanded(own, pieces)
                self._check_waiting(run, own, pieces)
                paused = next(each.paused for each in dags if each.dag_id == run.dag_id)
                self._check_alive(run, own, pieces, timers, paused=paused)

    def _read(self, uow: UnitOfWork, prefix: str) -> tuple[Sequence[Row[Any]], ...]:
        runs = select(dag_run).where(dag_run.c.run_id.startswith(prefix))
        keys = select(dag_run.c.id).where(dag_run.c.run_id.startswith(prefix))
        return (
            uow.execute(runs).all(),
            uow.execute(select(task_instance).where(task_instance.c.run_key.in_(keys))).all(),
            uow.execute(select(attempt).where(attempt.c.run_key.in_(keys))).all(),
            uow.execute(select(continuation)).all(),
            uow.execute(select(timer)).all(),
            uow.execute(select(dag)).all(),
        )

    def _check_leases(self, instances: Sequence[Row[Any]], attempts: Sequence[Row[Any]]) -> None:
        live: dict[str, list[Row[Any]]] = defaultdict(list)
        for each in attempts:
            if each.state in _LIVE:
                live[each.task_instance_id].append(each)
        for instance in instances:
            held = live[instance.id]
            assert len(held) <= 1, f"LEASE-1: {_name(instance)} has {len(held)} live attempts"
            if instance.state in _LIVE:
                assert held, f"LEASE-1: {_name(instance)} is {instance.state} without a live attempt"
                assert (held[0].id, held[0].state) == (instance.attempt_id, instance.state), _name(instance)
            else:
                assert not held, f"LEASE-1: {_name(instance)} is {instance.state} and has a live attempt"

    def _check_ends(self, attempts: Sequence[Row[Any]]) -> None:
        outcomes = Counter(each.outcome_id for each in attempts if each.outcome_id is not None)
        assert not [each for each, count in outcomes.items() if count > 1], "FIN-1: an outcome ended two attempts"
        for each in attempts:
            if each.state not in _LIVE:
                end = self._ends.setdefault(each.id, (each.state, each.outcome_id))
                assert end == (each.state, each.outcome_id), f"FIN-1: the end {end} of an attempt became {each.state}"
                assert each.end_time is not None

    def _check_run(self, run: Row[Any], instances: Sequence[Row[Any]], continued: int) -> None:
        open_ = [each for each in instances if each.workload == "task" and each.state not in _ENDED]
        assert run.unfinished == len(open_), f"{run.run_id} counts {run.unfinished} unfinished, not {len(open_)}"
        if run.state in _ENDED_RUNS:
            assert not open_, f"{run.run_id} is {run.state}, and {_name(open_[0])} is {open_[0].state}"
            assert run.end_time is not None
        else:
            held = run.holds or run.unmade or continued
            assert open_ or held, f"all tasks of {run.run_id} have ended, and it is {run.state}"

    def _check_expanded(self, instances: Sequence[Row[Any]], left: Sequence[Row[Any]]) -> None:
        children: dict[str, list[Row[Any]]] = defaultdict(list)
        for each in instances:
            if each.parent_id is not None and each.workload == "task":
                children[each.parent_id].append(each)
        for each in instances:
            if each.instances_total == 0:
                continue
            own = [child for child in children[each.id] if child.state != "removed"]
            expanding = any(piece.subject_id == each.id for piece in left)
            whole = len(own) == each.instances_total or expanding or each.state != TaskState.EXPANDED.value
            assert whole, f"SCHED-1: {_name(each)} lacks instances"
            states = Counter(child.state for child in own if child.state in _ENDED)
            assert _counted(each) == states, (
                f"SCHED-2: {_name(each)} counts {_counted(each)}, and its instances are {dict(states)}"
            )

    def _check_waiting(self, run: Row[Any], instances: Sequence[Row[Any]], left: Sequence[Row[Any]]) -> None:
        """What waits in a run that has begun, and of which nothing is left to tell, has to wait."""
        if run.state in ("queued", "cancelling") or run.final_state is not None or left or run.unmade:
            return
        states = {each.task_id: each.state for each in instances if each.map_index < 0 and each.workload == "task"}
        # A mapped task that was cleared is expanded anew once the last of its instances has ended.
        closing = {each.task_id for each in instances if each.map_index >= 0 and each.state in _LIVE}
        for node in self._dags[run.dag_id]:
            if states.get(node.name) == "waiting" and node.name not in closing:
                before = tuple(_AS_SEEN.get(states[name], WAITING) for name in node.after)
                assert decide(node.rule, before) == WAITING, (
                    f"SCHED-1: {node.name} of {run.run_id} waits after {before} with the rule {node.rule}"
                )

    def _check_alive(
        self,
        run: Row[Any],
        instances: Sequence[Row[Any]],
        left: Sequence[Row[Any]],
        timers: Sequence[Row[Any]],
        *,
        paused: bool,
    ) -> None:
        """Something can still happen to a run that has not ended."""
        if run.state in _ENDED_RUNS or left or (paused and run.state == "queued"):
            return
        if run.state == "queued":
            return  # it waits for its turn among the runs of its DAG
        moving = [
            each
            for each in instances
            if each.state == "queued"
            or each.state in _LIVE
            or each.not_before is not None
            or each.waits_for is not None
        ]
        ids = {run.id, *(each.id for each in instances)}
        due = [each for each in timers if each.subject_id in ids]
        assert moving or due, f"nothing can ever happen to {run.run_id}: " + ", ".join(
            f"{_name(each)} {each.state}"
            + (f" of {each.instances_total}, counted {_counted(each)}" if each.instances_total else "")
            for each in instances
        )


def _counted(summary: Row[Any]) -> dict[str, int]:
    kinds = ("succeeded", "failed", "upstream_failed", "skipped", "cancelled")
    return {kind: number for kind in kinds if (number := getattr(summary, f"instances_{kind}"))}


def _name(instance: Row[Any]) -> str:
    return instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"

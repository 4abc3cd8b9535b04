"""The runs and task instances that one transaction works on: read once, changed in memory, written back together.

Here belong reading, remembering and writing. What changes is decided in `settlement` (an attempt ended), `progress` (a
task ended) and `expansion` (a mapped task may run). Whatever is on a board belongs to runs that are locked, so nobody
else changes it, and the cost is a few statements however many rows take part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.claims import ClaimClass, rank_of
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan, TaskPlan, offer_key_of
from crosswind_server.domain.states import RunState, TaskState
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow.admission import ADMIT, admit
from crosswind_server.services.flow.classes import class_of
from crosswind_server.services.flow.lost_versions import why_not
from crosswind_server.services.flow.rows import (
    AttemptRecord,
    Instance,
    Run,
    instance_of,
    of_version,
    plan_of_workload,
    values_of,
)
from crosswind_server.services.flow.waiting import Wait
from crosswind_server.store import attempts, continuations, runs, task_instances
from crosswind_server.store.unit_of_work import UnitOfWork

PIECE: Final = 500
"""So many rows one cause may change in one transaction; the rest is left as a continuation. [SCHED-1]"""


@dataclass(slots=True)
class Board:
    """What one transaction works on.

    Args:
        ended: instances that ended and whose successors have not been told; `progress.advance` empties it.
        unjudged: instances that wait and may have become ready; `progress.advance` judges them.
        told: of those whose successors were told in part, by id: how many.
        past_is_fine: ids of instances for which the run before was looked at, and holds them back no more.
        begun_groups: the mapped groups of runs of which this transaction made the first instances.
        lengths: of the mapped inputs of groups, by run and group, once they were read.
        stale: instances that wait and whose counters `progress.advance` computes anew before it judges them.
        reset: instances of which a clear changed what `task_instances.RESET` names.
        renewed: instances that got what `task_instances.OF_VERSION` names from another version of their task.
        ended_workloads: workloads beside tasks that ended, for `waits.follow`.
        results: what of these answered, serialized, by id.
        waited: what instances waited for when they were read, by id, as long as `waits.release` has not seen to it.
        begun: instances that began to wait, for `waits.begin`.
        callbacks_made: how many callbacks the transaction made.
    """

    uow: UnitOfWork
    plans: PlanCache
    runs: dict[str, Run] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    tasks: dict[tuple[str, int], Instance] = field(default_factory=dict)
    mapped: dict[tuple[str, int, int], Instance] = field(default_factory=dict)
    ended: list[Instance] = field(default_factory=list)
    unjudged: dict[str, Instance] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    past_is_fine: set[str] = field(default_factory=set)
    begun_groups: set[tuple[str, str]] = field(default_factory=set)
    lengths: dict[tuple[str, str], list[int | None]] = field(default_factory=dict)
    stale: dict[str, Instance] = field(default_factory=dict)
    reset: dict[str, None] = field(default_factory=dict)
    renewed: dict[str, None] = field(default_factory=dict)
    ended_workloads: list[Instance] = field(default_factory=list)
    results: dict[str, bytes | None] = field(default_factory=dict)
    waited: dict[str, str] = field(default_factory=dict)
    begun: list[tuple[Instance, Wait]] = field(default_factory=list)
    callbacks_made: int = 0
    _changed: dict[str, None] = field(default_factory=dict)
    _changed_runs: dict[str, None] = field(default_factory=dict)
    _new: list[Instance] = field(default_factory=list)
    _left: list[dict[str, Any]] = field(default_factory=list)
    _bounded_runs: dict[str, None] = field(default_factory=dict)

    # Reading

    def lock_runs(self, ids: Collection[str]) -> None:
        """Lock runs that are not on the board yet."""
        self.take(runs.lock(self.uow, [run_id for run_id in ids if run_id not in self.runs]))

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put runs on the board that whoever calls has locked: rows of `store.runs.COLUMNS`."""
        for row in rows:
            run = Run(*row)
            self.runs.setdefault(run.id, run)

    def lock_attempts(self, ids: Collection[str]) -> dict[str, AttemptRecord]:
        """Lock the runs of attempts and read these with their instances; unknown ids are left out."""
        self.take(runs.lock_of_attempts(self.uow, ids))
        found: dict[str, AttemptRecord] = {}
        width = len(attempts.COLUMNS)
        for row in attempts.get_with_instances(self.uow, ids):
            values: Sequence[Any] = row
            record = AttemptRecord(*values[:width])
            found[record.id] = record
            self.put(Instance(*values[width:]))
        return found

    def load_tasks(self, keys: Iterable[tuple[str, int]]) -> None:
        """Read instances without map index that are not on the board yet, by run and position."""
        missing = dict.fromkeys(key for key in keys if key not in self.tasks)
        for row in task_instances.get_tasks(self.uow, missing):
            self.put(instance_of(row))

    def load_all(self, keys: Iterable[tuple[str, int, int]]) -> None:
        """Read instances that are not on the board yet, by run, position and map index."""
        several = list(keys)
        self.load_tasks((run_key, index) for run_key, index, map_index in several if map_index < 0)
        missing = dict.fromkeys(key for key in several if key[2] >= 0 and key not in self.mapped)
        self.put_rows(task_instances.get_mapped(self.uow, missing))

    def at(self, run_key: str, task_index: int, map_index: int) -> Instance | None:
        """An instance that was read by its place; None: there is none."""
        if map_index < 0:
            return self.tasks.get((run_key, task_index))
        return self.mapped.get((run_key, task_index, map_index))

    def load_instances(self, ids: Collection[str]) -> None:
        """Read instances that are not on the board yet."""
        for row in task_instances.get(self.uow, [each for each in ids if each not in self.instances]):
            self.put(instance_of(row))

    def put_rows(self, rows: Iterable[Row[Any]]) -> list[Instance]:
        """Put instances on the board that a query has found."""
        return [self.put(instance_of(row)) for row in rows]

    def put(self, instance: Instance) -> Instance:
        """Put an instance on the board, unless it is there; answers the one that is there."""
        known = self.instances.setdefault(instance.id, instance)
        if known is instance and instance.waits_for is not None:
            self.waited[instance.id] = instance.waits_for
        if known.map_index == -1:
            self.tasks.setdefault((known.run_key, known.task_index), known)
        else:
            self.mapped.setdefault((known.run_key, known.task_index, known.map_index), known)
        return known

    def plan_of(self, run: Run) -> DagPlan:
        """The graph of a run: that of the version with which it began, or into which it was cleared."""
        return self.plans.of_run(self.uow, run)

    def task_of(self, instance: Instance) -> TaskPlan:
        """The task of an instance; a workload beside tasks has a plan of its own."""
        plan = self.plan_of(self.runs[instance.run_key])
        if not instance.is_task:
            return plan_of_workload(plan, instance)
        return plan.tasks[instance.task_index]

    def why_not(self, instance: Instance) -> bytes | None:
        """Why an instance cannot run in the version that its run goes on with; None: it can. [SCHED-3]"""
        run = self.runs[instance.run_key]
        if run.code_version_id == run.dag_version_id or not instance.offer_key.startswith("dag:"):
            return None
        code = self.plans.get(self.uow, run.code_version_id)
        return why_not(self.plan_of(run), code, instance.task_id if instance.is_task else "")

    # Changing

    def touch(self, instance: Instance) -> None:
        """Remember that an instance was changed, and with it its run."""
        self._changed[instance.id] = None
        if instance.limit_group is not None:
            self.admit_in(instance.run_key)
        self._changed_runs[instance.run_key] = None

    def touch_run(self, run: Run) -> None:
        """Remember that a run was changed."""
        self._changed_runs[run.id] = None

    def queue(self, instance: Instance) -> None:
        """Make an instance claimable, as soon as nothing bounds it within its run.

        It fails instead where its run lost its version, and its DAG or the newer code does not let it go on. [SCHED-3]
        """
        gone = self.why_not(instance)
        if gone is not None:
            self.end(instance, TaskState.FAILED, failure=gone)
            return
        instance.state = TaskState.QUEUED.value
        instance.not_before = None
        instance.waits_for = None
        instance.queued_time = self.uow.now
        self.follow_code(instance)
        instance.rank = rank_of(self.uow.now, instance.priority)
        self.queue_again(instance)

    def follow_code(self, instance: Instance) -> None:
        """Let an instance that has no live attempt want the code with which its run goes on.

        Where the run was cleared into that version, its task may want another queue, pool and the like too.
        """
        run = self.runs[instance.run_key]
        if instance.offer_key.startswith("dag:") and instance.offer_key != offer_key_of(run.code_version_id):
            if instance.is_task and run.code_version_id == run.dag_version_id:
                self.renew(instance)
            else:
                instance.offer_key = offer_key_of(run.code_version_id)

    def renew(self, instance: Instance) -> None:
        """Give an instance that has no live attempt what its task wants of workers in the version of its run."""
        run, task = self.runs[instance.run_key], self.task_of(instance)
        wanted = of_version(run, task, self.plan_of(run).limit_group_of(task), instance.offer_key)
        if any(getattr(instance, name) != value for name, value in wanted.items()):
            for name, value in wanted.items():
                setattr(instance, name, value)
            self.renewed[instance.id] = None
            if instance.state == TaskState.QUEUED:
                self._offer(instance)
            self.touch(instance)

    def queue_again(self, instance: Instance) -> None:
        """Make an instance claimable at the place among others that it had before."""
        instance.state = TaskState.QUEUED.value
        self._offer(instance)
        self.touch(instance)

    def _offer(self, instance: Instance) -> None:
        # What is bounded within its run waits until `admission` admits it, at the end of the same transaction; a task
        # of a run that has not begun until `active_runs` lets that begin.
        unbegun = self.runs[instance.run_key].state == RunState.QUEUED and instance.is_task
        instance.held = unbegun or instance.limit_group is not None
        if not instance.held:
            self.uow.hint(f"work:{instance.team}")

    def admit_in(self, run_key: str) -> None:
        """Let the next `flush` admit what is held in a locked run, as far as its bounds allow."""
        self._bounded_runs[run_key] = None

    def judge(self, instance: Instance) -> None:
        """Let `progress.advance` look whether an instance that waits is ready. Judging again changes nothing."""
        self.unjudged[instance.id] = instance

    def resume(self, instance: Instance, event: bytes | None) -> None:
        """Let an instance go on whose wait is over, with what it waited for, a serialized payload."""
        instance.resumption_message = manifests.resumed(instance.resumption_message, event)
        self.queue(instance)

    def end(
        self, instance: Instance, state: TaskState, *, failure: bytes | None = None, skips: str | None = None
    ) -> None:
        """Put an instance into a final state; its successors are told by `progress.advance`.

        Args:
            failure: why it failed, serialized.
            skips: which of its successors it skips, as `domain.skipping` writes it; None: as was known before.
        """
        if skips is not None:
            instance.skips = skips
        instance.state = state.value
        instance.end_time = self.uow.now
        instance.not_before = None
        instance.resumption_message = None
        instance.failure_message = failure
        instance.waits_for = None
        self.touch(instance)
        if not instance.is_task:
            self.ended_workloads.append(instance)
            return
        self.runs[instance.run_key].unfinished -= 1
        self.ended.append(instance)

    def add(self, instance: Instance) -> None:
        """Add an instance that does not exist yet."""
        self._new.append(instance)
        self.put(instance)
        run = self.runs[instance.run_key]
        if instance.is_task:
            run.unfinished += 1
        self._changed_runs[instance.run_key] = None
        if instance.is_task:
            instance.limit_group = self.plan_of(run).limit_group_of(self.task_of(instance))
            if instance.limit_group is not None:
                self.admit_in(instance.run_key)
        if instance.state == TaskState.QUEUED:
            instance.rank = rank_of(self.uow.now, instance.priority)
            self._offer(instance)

    def left_behind(self, kind: str) -> list[tuple[str, int, str | None]]:
        """What this transaction has left of a kind so far: subject, position and detail."""
        return [(row["subject_id"], row["position"], row["detail_json"]) for row in self._left if row["kind"] == kind]

    def leave(self, kind: str, instance: Instance, position: int = 0, *, detail_json: str | None = None) -> None:
        """Leave work on an instance for a later transaction. [SCHED-1]"""
        self.leave_for(kind, instance.run_key, instance.id, position, detail_json=detail_json)

    def leave_for(
        self, kind: str, run_key: str | None, subject_id: str, position: int = 0, *, detail_json: str | None = None
    ) -> None:
        """Leave work on something in a run, on the run itself, or that concerns no run, for a later transaction.
        [SCHED-1]"""
        self._left.append(
            {
                "id": str(uuid7(self.uow.now)),
                "kind": kind,
                "run_key": run_key,
                "subject_id": subject_id,
                "position": position,
                "detail_json": detail_json,
                "created_time": self.uow.now,
            }
        )

    # Writing

    def flush(self) -> None:
        """Write what was changed: one statement for instances, one for runs, one each for what is new."""
        new = {instance.id for instance in self._new}
        self._number_workloads()
        self._classify()
        if self._new:
            task_instances.add(self.uow, [values_of(instance) for instance in self._new])
        changed = [self.instances[each] for each in sorted(self._changed) if each not in new]
        if changed:
            columns = ("id", *task_instances.PROGRESS)
            rows = [{name: getattr(instance, name) for name in columns} for instance in changed]
            task_instances.change(self.uow, rows)
        if self.reset:
            reset_columns = ("id", *task_instances.RESET)
            rows = [
                {name: getattr(self.instances[each], name) for name in reset_columns} for each in sorted(self.reset)
            ]
            task_instances.change(self.uow, rows, task_instances.RESET)
        if self.renewed:
            of_task = ("id", *task_instances.OF_VERSION)
            rows = [{name: getattr(self.instances[each], name) for name in of_task} for each in sorted(self.renewed)]
            task_instances.change(self.uow, rows, task_instances.OF_VERSION)
        self._admit()
        if self._changed_runs:
            rows = [
                {
                    "id": run.id,
                    "state": run.state,
                    "unfinished": run.unfinished,
                    "start_time": run.start_time,
                    "end_time": run.end_time,
                    "code_version_id": run.code_version_id,
                    "cancel_requested": run.cancel_requested,
                    "final_state": run.final_state,
                    "holds": run.holds,
                    "backfill_id": run.backfill_id,
                    "deadline_time": run.deadline_time,
                    "unmade": run.unmade,
                    "awaited": run.awaited,
                    "renewing": run.renewing,
                }
                for run in (self.runs[each] for each in sorted(self._changed_runs))
            ]
            runs.change(self.uow, rows)
            for row in rows:
                self.uow.hint(f"run:{row['id']}")
        continuations.add(self.uow, self._left)
        self._new, self._left = [], []
        self._changed.clear()
        self.reset.clear()
        self.renewed.clear()
        self._changed_runs.clear()

    def _admit(self) -> None:
        bounded = {each: self.plan_of(self.runs[each]) for each in self._bounded_runs if self._goes_on(self.runs[each])}
        self._bounded_runs.clear()
        if not bounded:
            return
        admitted = admit(self.uow, bounded, most=PIECE)
        for each in admitted.ids & self.instances.keys():
            self.instances[each].held = False
        for team in {self.runs[each].team for each in bounded} if admitted.ids else ():
            self.uow.hint(f"work:{team}")
        for run_key in sorted(admitted.unfinished):
            self.leave_for(ADMIT, run_key, run_key)

    @staticmethod
    def _goes_on(run: Run) -> bool:
        going = run.end_time is None and run.final_state is None and run.state != RunState.QUEUED
        return going and not run.renewing

    def _classify(self) -> None:
        """Give what is new or changed the class that it asks for now, and keep classes that are new."""
        asked: dict[str, ClaimClass] = {}
        for instance in (*self._new, *(self.instances[each] for each in self._changed)):
            labels = self.task_of(instance).labels if instance.is_task else ()
            made = class_of(instance, labels)
            instance.claim_class = made.id
            asked[made.id] = made
        self.plans.claim_classes.keep(self.uow, asked)

    def _number_workloads(self) -> None:
        """Give the new workloads beside tasks their numbers in their runs."""
        unnumbered = [instance for instance in self._new if not instance.is_task]
        if not unnumbered:
            return
        last = task_instances.last_workloads(self.uow, {instance.run_key for instance in unnumbered})
        for instance in unnumbered:
            instance.map_index = last[instance.run_key] = last.get(instance.run_key, -1) + 1

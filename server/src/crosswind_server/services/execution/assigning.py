"""Assignments: how what a worker is given is written down, and what its leases say. [LEASE-1] [LEASE-2]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.ids import make_lease, uuid7
from crosswind_server.domain.plan import Reference
from crosswind_server.domain.states import AttemptState, TaskState, Workload
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution import pinning
from crosswind_server.services.flow.board import PIECE
from crosswind_server.store import attempts, claims, run_listing, runs
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing

_CONSUMES_A_NUMBER: Final = frozenset({"succeeded", "failed", "skipped", "lost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one attempt. Times are spans in microseconds."""

    attempt_id: str
    lease: bytes
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    bundle: str
    bundle_version: str
    entry_point: str
    start_deadline_us: int
    slots: int
    queue: str
    delivery: int
    workload: str = Workload.TASK.value


class Assigning:
    """Makes attempts of instances that are locked."""

    def __init__(self, plans: PlanCache, *, timing: Timing) -> None:
        self._plans = plans
        self._timing = timing

    def assign(
        self,
        uow: UnitOfWork,
        worker: Row[Any],
        rows: Sequence[Row[Any]],
        offers: Mapping[str, Sequence[tuple[str, str]]],
    ) -> list[Lease]:
        """Give a worker locked instances; answers their leases.

        Args:
            offers: the bundles and versions in which the worker has what each wants, by offer key.
        """
        if not rows:
            return []
        leases: list[Lease] = []
        new_attempts: list[dict[str, Any]] = []
        assignments: list[dict[str, Any]] = []
        began_with = self._began_with(uow, rows, offers)
        for row in rows:
            bundle, version = offers[row.offer_key][-1]
            earlier = (bundle, began_with.get(row.run_key, version))
            if earlier in offers[row.offer_key]:
                version = earlier[1]
            lease = self._lease(uow, row, bundle, version)
            leases.append(lease)
            new_attempts.append(self._attempt(uow, worker, row, lease))
            assignments.append(
                {
                    "id": row.id,
                    "state": TaskState.ASSIGNED.value,
                    "attempt_id": lease.attempt_id,
                    "worker_name": worker.name,
                    "language": worker.language if row.language is None else row.language,
                    "bundle_version": version,
                    "try_number": lease.try_number,
                }
            )
        attempts.add(uow, new_attempts)
        claims.assign(uow, assignments)
        self._pin(uow, rows, new_attempts)
        run_keys = sorted({attempt["run_key"] for attempt in new_attempts})
        runs.touch_unlocked(uow, run_keys)
        for run_key in run_keys:
            uow.hint(f"run:{run_key}")
        return leases

    def deliver_again(self, uow: UnitOfWork, rows: Sequence[Row[Any]]) -> list[Lease]:
        """The leases of attempts that a worker was given and does not list, where they are still unstarted."""
        if not rows:
            return []
        still = frozenset(attempts.deliver_again(uow, [row.id for row in rows]))
        return [
            Lease(
                attempt_id=row.id,
                lease=bytes(row.lease),
                dag_id=row.dag_id,
                run_id=row.run_id,
                task_id=row.task_id,
                map_index=row.map_index,
                try_number=row.try_number,
                bundle=row.bundle,
                bundle_version=row.bundle_version,
                entry_point=row.entry_point,
                start_deadline_us=max(0, row.start_deadline - uow.now),
                slots=row.slots,
                queue=row.queue,
                delivery=row.deliveries + 1,
                workload=row.workload,
            )
            for row in rows
            if row.id in still
        ]

    def _lease(self, uow: UnitOfWork, row: Row[Any], bundle: str, version: str) -> Lease:
        code = self._plans.get(uow, row.code_version_id)
        used = row.last_state in _CONSUMES_A_NUMBER or (row.last_state == "cancelled" and row.last_started)
        return Lease(
            attempt_id=str(uuid7(uow.now)),
            lease=bytes.fromhex(make_lease()),
            dag_id=row.dag_id,
            run_id=row.run_id,
            task_id=row.task_id,
            map_index=row.map_index if row.task_index >= 0 else row.workload_map_index,
            try_number=max(1, row.try_number + (1 if used else 0)),
            bundle=bundle,
            bundle_version=version,
            entry_point=row.workload_entry_point or code.by_id[row.task_id].entry_point,
            start_deadline_us=self._timing.start_deadline_us,
            slots=row.slots,
            queue=row.queue,
            delivery=1,
            workload=row.workload,
        )

    def _attempt(self, uow: UnitOfWork, worker: Row[Any], row: Row[Any], lease: Lease) -> dict[str, Any]:
        return {
            "id": lease.attempt_id,
            "task_instance_id": row.id,
            "run_key": row.run_key,
            "team": row.team,
            "try_number": lease.try_number,
            "lease": lease.lease,
            "instance_id": worker.instance_id,
            "state": AttemptState.ASSIGNED.value,
            "deliveries": 1,
            "slots": row.slots,
            "bundle": lease.bundle,
            "bundle_version": lease.bundle_version,
            "entry_point": lease.entry_point,
            "assigned_time": uow.now,
            "start_deadline": uow.now + self._timing.start_deadline_us,
        }

    @staticmethod
    def _began_with(
        uow: UnitOfWork, found: Sequence[Row[Any]], offers: Mapping[str, Sequence[tuple[str, str]]]
    ) -> Mapping[str, str]:
        """The bundle versions with which runs began, where there is a choice: a run goes on with the code it has."""
        torn = {row.run_key for row in found if row.offer_key.startswith("dag:") and len(offers[row.offer_key]) > 1}
        return run_listing.first_bundle_versions(uow, torn)

    def _pin(self, uow: UnitOfWork, given: Sequence[Row[Any]], new_attempts: Sequence[Mapping[str, Any]]) -> None:
        """A reference to another bundle resolves when it is first assigned, and stays so for the run."""
        pinned: dict[tuple[str, str], str] = {}
        assigned: dict[tuple[str, str], list[Row[Any]]] = {}
        for row, attempt in zip(given, new_attempts, strict=True):
            if pinning.is_unpinned(row.offer_key):
                place = (row.run_key, row.offer_key)
                name, _, entry_point = row.offer_key.partition(":")[2].partition("/")
                pinned.setdefault(place, Reference(name, entry_point).pinned_key(attempt["bundle_version"]))
                assigned.setdefault(place, []).append(row)
        budget = PIECE
        for place, to in sorted(pinned.items()):
            budget -= pinning.pin(uow, self._plans, place, to=to, given=assigned[place], budget=budget)

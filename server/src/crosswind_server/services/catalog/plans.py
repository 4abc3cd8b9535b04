"""The plans of DAG versions, read once and shared. A plan never changes, since its id is the hash of its manifest."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from crosswind_server import manifests
from crosswind_server.domain.plan import DagPlan
from crosswind_server.domain.renumbering import renumbered
from crosswind_server.services.catalog.claim_classes import ClaimClasses
from crosswind_server.services.catalog.manifest_versions import ManifestVersions, OneVersion, newest_message
from crosswind_server.store import dags
from crosswind_server.store.unit_of_work import UnitOfWork

_CAPACITY: Final = 1_000


class PlanCache:
    """The plans that were used last. Any thread.

    Args:
        versions: reads manifests of older API versions; None where there are none.
        capacity: plans at most.

    Attributes:
        claim_classes: what the plans ask of workers, as it is stored.
    """

    def __init__(self, versions: ManifestVersions | None = None, capacity: int = _CAPACITY) -> None:
        self.versions: Final = versions or OneVersion()
        self._capacity = capacity
        self.claim_classes: Final = ClaimClasses()
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple[str, ...], DagPlan] = OrderedDict()

    def of_run(self, uow: UnitOfWork, run: Any) -> DagPlan:
        """The plan of a run, by whose numbers its task instances know their tasks.

        Args:
            uow: the transaction.
            run: has the columns `dag_version_id` and `numbering_json` of `dag_run`.
        """
        if run.numbering_json is None:
            return self.get(uow, run.dag_version_id)
        return self.numbered(uow, run.dag_version_id, json.loads(run.numbering_json))

    def numbered(self, uow: UnitOfWork, dag_version_id: str, numbering: Sequence[str]) -> DagPlan:
        """The plan of a version with its tasks at the places that they have after those of other versions."""
        key = (dag_version_id, *numbering)
        plan = self._known(key)
        if plan is None:
            plan = renumbered(self.get(uow, dag_version_id), [self.get(uow, each) for each in numbering])
            self._keep(key, plan)
        return plan

    def get(self, uow: UnitOfWork, dag_version_id: str) -> DagPlan:
        """The plan of a DAG version that is stored."""
        plan = self._known((dag_version_id,))
        if plan is not None:
            return plan
        message = newest_message(self.versions, dags.get_message(uow, dag_version_id))
        plan = manifests.read_dag(message, dag_version_id=dag_version_id)
        self.put(plan)
        return plan

    def put(self, plan: DagPlan) -> None:
        """Keep the plan of a version by itself."""
        self._keep((plan.dag_version_id,), plan)

    def _known(self, key: tuple[str, ...]) -> DagPlan | None:
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
            return plan

    def _keep(self, key: tuple[str, ...], plan: DagPlan) -> None:
        with self._lock:
            self._plans[key] = plan
            self._plans.move_to_end(key)
            if len(self._plans) > self._capacity:
                self._plans.popitem(last=False)

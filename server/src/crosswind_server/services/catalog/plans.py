"""The plans of DAG versions, read once and shared. A plan never changes, since its id is the hash of its manifest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from crosswind_server import manifests
from crosswind_server.domain.plan import DagPlan
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
        self._plans: OrderedDict[str, DagPlan] = OrderedDict()

    def get(self, uow: UnitOfWork, dag_version_id: str) -> DagPlan:
        """The plan of a DAG version that is stored."""
        with self._lock:
            plan = self._plans.get(dag_version_id)
            if plan is not None:
                self._plans.move_to_end(dag_version_id)
                return plan
        message = newest_message(self.versions, dags.get_message(uow, dag_version_id))
        plan = manifests.read_dag(message, dag_version_id=dag_version_id)
        self.put(plan)
        return plan

    def put(self, plan: DagPlan) -> None:
        """Keep a plan."""
        with self._lock:
            self._plans[plan.dag_version_id] = plan
            self._plans.move_to_end(plan.dag_version_id)
            if len(self._plans) > self._capacity:
                self._plans.popitem(last=False)

"""Bundles: who may publish one, which version is current, and which of its DAGs stand. [WORKER-1]

Here belongs the publishing of manifests. What a DAG may say is decided in `manifests`; which worker offers what is
registered in `workers`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from crosswind_server import manifests
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import DagPlan, Reference
from crosswind_server.domain.version import REASONS
from crosswind_server.services.access.callers import Caller
from crosswind_server.services.catalog.asset_relations import relate
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.fleet import presence
from crosswind_server.services.interventions import version_policy
from crosswind_server.services.runs.schedules import Schedules
from crosswind_server.store import bounds, bundles, dags
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """A source of a bundle that could not be read."""

    source: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle version holds, or a part of it. `dags` are pairs of id and serialized `manifest.v1.Dag`."""

    api_version: str
    language: str
    language_version: str
    sdk_version: str
    dags: tuple[tuple[str, bytes], ...]
    offered_entry_points: tuple[str, ...]
    source_errors: tuple[SourceProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a bundle that a worker can run. Without manifest the server is asked whether it knows it."""

    bundle: str
    version: str
    manifest: Manifest | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedDag:
    """A DAG that was refused."""

    dag_id: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferResult:
    """What became of an offer."""

    bundle: str
    version: str
    known: bool
    current: bool
    refused: tuple[RefusedDag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBundle:
    """A worker offers a version, and takes others back. `observed_change`: it saw the source change to the version."""

    caller: Caller
    instance_id: str
    offer: Offer
    observed_change: bool = False
    withdrawn: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferingWorker:
    """The worker instance that offers."""

    caller: Caller
    instance_id: str
    name: str


class Bundles:
    """Publishing, in a transaction that somebody else commits."""

    def __init__(self, plans: PlanCache, schedules: Schedules) -> None:
        self._plans = plans
        self._schedules = schedules

    def publish(self, uow: UnitOfWork, command: PublishBundle) -> OfferResult:
        """Take a worker's offer, and say what became of it.

        Raises:
            Refused: BUNDLE_NOT_OWNED, WORKER_UNKNOWN, WORKER_SUPERSEDED, INVALID_ARGUMENT, or one of
                `domain.version.REASONS`.
        """
        worker = presence.require_live(uow, command.caller.team, command.instance_id)
        offering = OfferingWorker(caller=command.caller, instance_id=command.instance_id, name=worker.name)
        result = self.take_offer(uow, offering, command.offer, observed_change=command.observed_change)
        team = command.caller.team
        bundles.withdraw(uow, command.instance_id, command.withdrawn)
        changed = {command.offer.bundle, *(name for name, _ in command.withdrawn)}
        version_policy.apply(uow, self._plans, team=team, bundles=changed)
        uow.hint(f"work:{team}")
        return result

    def take_offer(
        self, uow: UnitOfWork, worker: OfferingWorker, offer: Offer, *, observed_change: bool = False
    ) -> OfferResult:
        """Store what is new in an offer, and register it for the worker once its last part came. [WORKER-1]

        A version becomes current when it is new, or when its worker saw the source change to it.

        Raises:
            Refused: BUNDLE_NOT_OWNED, INVALID_ARGUMENT, or one of `domain.version.REASONS`.
        """
        manifests.check_bundle_name(offer.bundle, offer.version)
        team = worker.caller.team
        version = bundles.get_version(uow, team, offer.bundle, offer.version)
        self._check_api_version(offer, version)
        self._check_owner(uow, worker.caller, offer.bundle)
        refused: tuple[RefusedDag, ...] = ()
        complete = version is not None and version.complete
        if not complete:
            if offer.manifest is None:
                return OfferResult(bundle=offer.bundle, version=offer.version, known=False, current=False)
            if version is None:
                self._add_version(uow, worker, offer, offer.manifest)
            refused = self._add_manifest(uow, team, offer, offer.manifest)
            complete = not offer.more
            if complete:
                bundles.complete_version(uow, team, offer.bundle, offer.version)
                self._make_current(uow, team, offer.bundle, offer.version)
        elif observed_change:
            refused = self._take_up_again(uow, team, offer)
        if complete:
            bundles.offer(uow, worker.instance_id, team, [(offer.bundle, offer.version)])
        row = bundles.lock(uow, team, offer.bundle)
        current = row is not None and row.current_version == offer.version
        return OfferResult(bundle=offer.bundle, version=offer.version, known=True, current=current, refused=refused)

    def set_current(self, uow: UnitOfWork, *, team: str, bundle: str, version: str) -> None:
        """Make a known version the one with which new runs begin.

        Raises:
            Refused: BUNDLE_NOT_FOUND, BUNDLE_VERSION_NOT_FOUND or DAG_OWNED_BY_OTHER_BUNDLE.
        """
        if bundles.lock(uow, team, bundle) is None:
            raise Refused(
                Reason.BUNDLE_NOT_FOUND,
                f"No worker has published a bundle '{bundle}'; list the bundles.",
                metadata={"bundle": bundle},
            )
        row = bundles.get_version(uow, team, bundle, version)
        if row is None or not row.complete:
            raise Refused(
                Reason.BUNDLE_VERSION_NOT_FOUND,
                f"Bundle '{bundle}' has no version '{version}'; list its versions.",
                metadata={"bundle": bundle, "bundle_version": version},
            )
        for dag_id, other in self._owned_elsewhere(uow, team, bundle, version):
            raise _owned_by_other(dag_id, other)
        self._make_current(uow, team, bundle, version)
        version_policy.apply(uow, self._plans, team=team, bundles=[bundle])

    def _take_up_again(self, uow: UnitOfWork, team: str, offer: Offer) -> tuple[RefusedDag, ...]:
        """Make a known version current, unless one of its DAGs is another bundle's by now: answers those."""
        whys = [_owned_by_other(*each) for each in self._owned_elsewhere(uow, team, offer.bundle, offer.version)]
        if not whys:
            self._make_current(uow, team, offer.bundle, offer.version)
        return tuple(RefusedDag(dag_id=why.metadata["dag_id"], reason=why.reason, message=why.message) for why in whys)

    @staticmethod
    def _owned_elsewhere(uow: UnitOfWork, team: str, bundle: str, version: str) -> list[tuple[str, str]]:
        """The DAGs of a version that are active in other bundles, with these."""
        held = {each.dag_id for each in dags.versions_in(uow, team, bundle, version)}
        return [(row.dag_id, row.bundle) for row in dags.get(uow, team, held) if row.bundle != bundle and row.active]

    def take_registered(self, uow: UnitOfWork, worker: OfferingWorker, offer: Offer) -> OfferResult:
        """Take an offer of a registration, which is not refused for the API version of one bundle: the version counts
        as unknown, and its worker learns why when it publishes it. [VER-1]

        Raises:
            Refused: BUNDLE_NOT_OWNED or INVALID_ARGUMENT.
        """
        try:
            return self.take_offer(uow, worker, offer)
        except Refused as why:
            if why.reason not in REASONS:
                raise
            return OfferResult(bundle=offer.bundle, version=offer.version, known=False, current=False)

    def _check_api_version(self, offer: Offer, version: Row[Any] | None) -> None:
        """Before anything is stored. What was known before is judged too: one day its API version is served no more."""
        if offer.manifest is not None:
            self._plans.versions.check(offer.bundle, offer.manifest.api_version)
        elif version is not None:
            self._plans.versions.check(offer.bundle, version.api_version)

    def _check_owner(self, uow: UnitOfWork, caller: Caller, bundle: str) -> None:
        if not caller.may_publish(bundle):
            raise Refused(
                Reason.BUNDLE_NOT_OWNED,
                f"The token of '{caller.subject}' does not allow it to publish the bundle '{bundle}'; use an enrolment "
                "token that names it, made with `crosswind-server token create --kind enrolment --bundle`.",
                metadata={"bundle": bundle},
            )
        row = bundles.lock(uow, caller.team, bundle)
        if row is None:
            bundles.add(uow, caller.team, bundle, caller.subject)
            row = bundles.lock(uow, caller.team, bundle)
        if row is not None and row.owner != caller.subject:
            raise Refused(
                Reason.BUNDLE_NOT_OWNED,
                f"The bundle '{bundle}' belongs to '{row.owner}', and '{caller.subject}' cannot publish it; rename one "
                "of the two bundles, or enrol this worker under the same subject.",
                metadata={"bundle": bundle, "owner": row.owner},
            )

    @staticmethod
    def _add_version(uow: UnitOfWork, worker: OfferingWorker, offer: Offer, manifest: Manifest) -> None:
        bundles.add_version(
            uow,
            {
                "team": worker.caller.team,
                "bundle": offer.bundle,
                "version": offer.version,
                "published_by": worker.name,
                "api_version": manifest.api_version,
                "language": manifest.language,
                "language_version": manifest.language_version,
                "sdk_version": manifest.sdk_version,
                "complete": False,
                "created_time": uow.now,
            },
        )

    def _add_manifest(self, uow: UnitOfWork, team: str, offer: Offer, manifest: Manifest) -> tuple[RefusedDag, ...]:
        refused: list[RefusedDag] = []
        accepted: dict[str, tuple[DagPlan, bytes]] = {}
        owners = {row.dag_id: row for row in dags.get(uow, team, [dag_id for dag_id, _ in manifest.dags])}
        for dag_id, message in manifest.dags:
            try:
                version_id = hashlib.sha256(message).hexdigest()
                newest = self._plans.versions.upgrade(manifest.api_version, message)
                plan = manifests.read_dag(newest, dag_version_id=version_id, dag_id=dag_id)
                owner = owners.get(dag_id)
                if owner is not None and owner.bundle != offer.bundle and owner.active:
                    raise _owned_by_other(dag_id, owner.bundle)
                if dag_id in accepted:
                    raise Refused(Reason.DAG_INVALID, f"The bundle has two DAGs with the id '{dag_id}'; rename one.")
                accepted[dag_id] = (plan, message)
            except Refused as why:
                refused.append(RefusedDag(dag_id=dag_id, reason=why.reason, message=why.message))
        self._add_dag_versions(uow, team, offer, accepted)
        references = [Reference(offer.bundle, entry_point) for entry_point in manifest.offered_entry_points]
        keys = [plan.offer_key for plan, _ in accepted.values()]
        keys += [reference.offer_key for reference in references]
        keys += [reference.pinned_key(offer.version) for reference in references]
        bundles.add_offers(uow, team, offer.bundle, offer.version, keys)
        problems: dict[tuple[str, str], tuple[int, str | None, str]] = {
            ("", each.source[:500]): (each.line, None, each.message) for each in manifest.source_errors
        }
        problems |= {(each.dag_id[:250], ""): (0, each.reason.value, each.message) for each in refused}
        bundles.add_source_errors(
            uow,
            [
                {
                    "team": team,
                    "bundle": offer.bundle,
                    "version": offer.version,
                    "dag_id": dag_id,
                    "source": source,
                    "line": line,
                    "reason": reason,
                    "message": message,
                }
                for (dag_id, source), (line, reason, message) in problems.items()
            ],
        )
        return tuple(refused)

    def _add_dag_versions(
        self, uow: UnitOfWork, team: str, offer: Offer, accepted: dict[str, tuple[DagPlan, bytes]]
    ) -> None:
        known = dags.known_versions(uow, team, [plan.dag_version_id for plan, _ in accepted.values()])
        numbers = dags.newest_numbers(uow, team, accepted)
        new = []
        for dag_id, (plan, message) in accepted.items():
            # A known one is read as of the API version that brought it first, whichever server reads it. [VER-1]
            if plan.dag_version_id not in known:
                self._plans.put(plan)
                new.append(
                    {
                        "team": team,
                        "dag_version_id": plan.dag_version_id,
                        "dag_id": dag_id,
                        "number": numbers.get(dag_id, 0) + 1,
                        "bundle": offer.bundle,
                        "bundle_version": offer.version,
                        "dag_message": message,
                        "created_time": uow.now,
                    }
                )
        dags.add_versions(uow, new)

    def _make_current(self, uow: UnitOfWork, team: str, bundle: str, version: str) -> None:
        """Let new runs begin with a version: its DAGs become active with it, those that it lacks inactive.

        One that may be in a source that could not be read, or that was refused, is not gone: it stays as it was last.
        """
        bundles.set_current(uow, team, bundle, version)
        held = {row.dag_id: row.dag_version_id for row in dags.versions_in(uow, team, bundle, version)}
        dags.put(
            uow,
            [
                {
                    "team": team,
                    "dag_id": dag_id,
                    "bundle": bundle,
                    "current_version_id": dag_version_id,
                    "paused": self._plans.get(uow, dag_version_id).paused_upon_creation,
                    "active": True,
                    "created_time": uow.now,
                    "updated_time": uow.now,
                }
                for dag_id, dag_version_id in sorted(held.items())
            ],
        )
        bounds.replace_limits(
            uow, team, {dag_id: self._plans.get(uow, version_id).task_limits for dag_id, version_id in held.items()}
        )
        relate(uow, team, {dag_id: self._plans.get(uow, version_id) for dag_id, version_id in held.items()})
        errors = bundles.source_errors(uow, team, bundle, version)
        # A manifest does not say which source its DAGs came from, nor which one a broken source had.
        if all(row.dag_id for row in errors):
            gone = dags.deactivate_others(uow, team, bundle, {*held, *(row.dag_id for row in errors)})
            self._schedules.renew(uow, team, gone)
        self._schedules.renew(uow, team, held, changed=True)


def _owned_by_other(dag_id: str, bundle: str) -> Refused:
    return Refused(
        Reason.DAG_OWNED_BY_OTHER_BUNDLE,
        f"The DAG id '{dag_id}' belongs to the bundle '{bundle}'; rename one of the two DAGs.",
        metadata={"dag_id": dag_id, "bundle": bundle},
    )

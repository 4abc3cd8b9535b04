"""The heart of a server: the services that run DAGs, put together over one store.

Here belongs the wiring; each part says itself what it does. A server has one heart, a test as many as it likes.
"""

from __future__ import annotations

from crosswind_server.services.access.tokens import TokenSigner
from crosswind_server.services.catalog import claim_classes
from crosswind_server.services.catalog.bundles import Bundles
from crosswind_server.services.catalog.manifest_versions import ManifestVersions
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.execution import pinning, state_store
from crosswind_server.services.execution.attempts import Attempts
from crosswind_server.services.execution.contexts import DeclaredReader, NothingDeclared
from crosswind_server.services.execution.polling import Polling
from crosswind_server.services.fleet.farewell import Farewell
from crosswind_server.services.fleet.workers import Workers
from crosswind_server.services.flow import (
    active_runs,
    admission,
    alarms,
    callbacks,
    events,
    expansion,
    groups,
    past,
    progress,
    recounting,
    starting,
    timetables,
)
from crosswind_server.services.flow.continuing import Continuer
from crosswind_server.services.flow.run_limits import Deadlines
from crosswind_server.services.interventions import clearing, deliveries, ending, renewing, stopping, version_policy
from crosswind_server.services.interventions.abandoned import AbandonedCallbacks
from crosswind_server.services.requests import forget_old_answers
from crosswind_server.services.runs import asset_events
from crosswind_server.services.runs.asset_events import AssetRuns
from crosswind_server.services.runs.backfills import Backfills
from crosswind_server.services.runs.runs import Runs
from crosswind_server.services.runs.schedules import Schedules
from crosswind_server.services.timekeeper import Timekeeper
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing


class Heart:
    """What runs DAGs.

    Attributes:
        plans: the DAG versions that were used last.
        bundles, workers, attempts, runs, schedules: handlers and functions that work in a transaction.
        polling, farewell: the long polls of this server, and their end.
        continuer: works off what transactions leave behind.
        timekeeper: to be started and stopped with the server.
        publish, register, trigger, deregister: handlers for `Store.write`.
    """

    def __init__(
        self,
        store: Store,
        timing: Timing,
        *,
        signer: TokenSigner | None = None,
        declared: DeclaredReader | None = None,
        versions: ManifestVersions | None = None,
    ) -> None:
        self.store = store
        self.timing = timing
        self.plans = PlanCache(versions)
        self.schedules = Schedules(self.plans, ask=timetables.ask_soon)
        self.timetables = timetables.Timetables(self.plans, self.schedules.take_dates)
        self.bundles = Bundles(self.plans, self.schedules)
        self.workers = Workers(store, self.plans, self.bundles, timing=timing, signer=signer)
        self.polling = Polling(store, self.plans, timing=timing)
        self.farewell = Farewell(store, self.polling, timing=timing)
        self.attempts = Attempts(self.plans, timing=timing, declared=declared or NothingDeclared())
        self.runs = Runs(self.plans)
        self.asset_runs = AssetRuns(self.plans, self.runs)
        self.deadlines = Deadlines(self.plans)
        self.backfills = Backfills(self.plans)
        self.abandoned = AbandonedCallbacks(self.plans)
        self.continuer = Continuer(
            self.plans,
            {
                recounting.ADVANCE: progress.go_on,
                expansion.EXPAND: expansion.go_on,
                deliveries.DELIVER: deliveries.go_on,
                timetables.TAKE: self.timetables.go_on,
                callbacks.CALL_BACK: callbacks.go_on,
                admission.ADMIT: admission.go_on,
                starting.MAKE: starting.go_on_making,
                starting.START: starting.go_on_starting,
                active_runs.RELEASE: active_runs.go_on_releasing,
                pinning.PIN: pinning.go_on,
                stopping.STOP: stopping.go_on,
                clearing.CLEAR: clearing.go_on,
                renewing.RENEW: renewing.go_on,
                ending.END: ending.go_on_ending,
                ending.JUDGE: ending.go_on_judging,
                groups.GROUP: groups.go_on_making,
                groups.REJUDGE: groups.go_on_judging,
                past.PAST: past.go_on,
                version_policy.STRANDED: version_policy.go_on_looking,
                version_policy.VERSION: version_policy.go_on_moving,
                asset_events.FOLLOW: self.asset_runs.go_on_following,
                asset_events.CONSIDER: self.asset_runs.go_on_considering,
            },
        )
        self.timekeeper = Timekeeper(
            store,
            self.plans,
            self.workers,
            timing=timing,
            continuer=self.continuer,
            timers={
                events.FORGET: events.forget,
                timetables.ASK: self.timetables.ring,
                state_store.EXPIRE: state_store.expire,
                alarms.SCHEDULE: self.schedules.ring,
                alarms.PROMOTE: active_runs.ActiveRuns(self.plans).ring,
                alarms.RUN_TIMEOUT: self.runs.time_out,
                alarms.DEADLINE: self.deadlines.ring,
                alarms.BACKFILL: self.backfills.ring,
            },
            clean=each(self._clean),
        )
        self.publish = each(self.bundles.publish)
        self.register = each(self.workers.register)
        self.trigger = each(self.runs.trigger)
        self.deregister = each(self._deregister)

    def _clean(self, uow: UnitOfWork, _: object) -> int:
        # A piece of each; as many as a piece holds say that there may be more.
        return max(forget_old_answers(uow), claim_classes.forget_unused(uow), self.abandoned.look(uow))

    def _deregister(self, uow: UnitOfWork, who: tuple[str, str]) -> None:
        team, instance_id = who
        self.workers.deregister(uow, team=team, instance_id=instance_id)

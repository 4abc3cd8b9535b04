"""Events of assets: recording them, and creating the runs whose conditions they complete. [SCHED-1]

Whoever records an event may hold locks of runs, and a run is created under the lock of its DAG. So what is scheduled on
the asset follows in a continuation, which holds no run's lock: it lets each DAG have the event pending, and creates a
run where the condition is met. What is pending is taken by one run, whatever number of servers look at it, since both
happen under the DAG's lock. A run is about one partition: all of its events are of that, or of none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.assets import AssetRef, is_met
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.services.catalog.asset_relations import identify
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.services.runs.runs import Runs, TriggerRun
from crosswind_server.store import assets, continuations, dags
from crosswind_server.store.unit_of_work import UnitOfWork

FOLLOW: Final = "asset_event"
"""Kind of a continuation: let the DAGs that are scheduled on an event's assets see it. The subject is the event, its
detail the last DAG that has."""
CONSIDER: Final = "asset_dag"
"""Kind of a continuation: create the runs of a DAG for which there are events. Its detail is a JSON array of the team,
the DAG and the partition that was looked at last, or null."""
ASSET: Final = "asset"
DAGS_AT_ONCE: Final = 20
PARTITIONS_AT_ONCE: Final = 20
MAX_EVENTS: Final = 100
"""Of one outcome."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Something happened to an asset.

    Args:
        aliases: names of those through which its task found the asset.
        partition_key: empty: none.
        extra: a serialized payload with a JSON object.
    """

    asset: AssetRef
    aliases: tuple[str, ...] = ()
    partition_key: str = ""
    extra: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What made an event: a task instance, or a person."""

    run_key: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    subject: str | None = None


def emit(uow: UnitOfWork, team: str, emissions: Sequence[tuple[Emission, Source]]) -> Sequence[str]:
    """Record events, and leave what follows; answers their ids."""
    ids = record(uow, team, emissions)
    for event_id in ids:
        if assets.scheduled_dags(uow, [event_id]):
            _leave(uow, FOLLOW, event_id, "")
    return ids


def record(uow: UnitOfWork, team: str, emissions: Sequence[tuple[Emission, Source]]) -> Sequence[str]:
    """Record events; what follows is left to the caller."""
    if not emissions:
        return []
    refs = [emission.asset for emission, _ in emissions]
    refs += [AssetRef(alias, alias=True) for emission, _ in emissions for alias in emission.aliases]
    known = identify(uow, team, refs)
    ids = [str(uuid7(uow.now)) for _ in emissions]
    events = [
        {
            "id": event_id,
            "team": team,
            "asset_id": known[emission.asset.name],
            "event_time": uow.now,
            "partition_key": emission.partition_key,
            "extra_message": emission.extra,
            "run_key": source.run_key,
            "task_id": source.task_id,
            "map_index": source.map_index,
            "subject": source.subject,
        }
        for event_id, (emission, source) in zip(ids, emissions, strict=True)
    ]
    names = [
        {"asset_id": known[name], "event_id": event_id}
        for event_id, (emission, _) in zip(ids, emissions, strict=True)
        for name in dict.fromkeys((emission.asset.name, *emission.aliases))
    ]
    assets.add_events(uow, events, names)
    uow.hint(f"assets:{team}")
    return ids


def ask(uow: UnitOfWork, team: str, dag_id: str) -> None:
    """Let a DAG's runs be created for which there are events, by a continuation: it may run again."""
    if assets.pending_partitions(uow, team, dag_id, after=None, limit=1):
        _leave(uow, CONSIDER, dag_id, json.dumps([team, dag_id, None]))


class AssetRuns:
    """Creates runs for events, in transactions that somebody else commits."""

    def __init__(self, plans: PlanCache, runs: Runs) -> None:
        self._plans = plans
        self._runs = runs

    def go_on_following(self, board: Board, piece: Row[Any]) -> None:
        """Work off a continuation of kind `FOLLOW`."""
        event = assets.get_event(board.uow, piece.subject_id)
        if event is not None:
            self.follow(board.uow, event.team, event.id, event.partition_key, after=piece.detail_json or "")

    def go_on_considering(self, board: Board, piece: Row[Any]) -> None:
        """Work off a continuation of kind `CONSIDER`."""
        team, dag_id, last = json.loads(piece.detail_json)
        dag = dags.lock(board.uow, team, dag_id)
        if dag is None:
            return
        partitions = assets.pending_partitions(board.uow, team, dag_id, after=last, limit=PARTITIONS_AT_ONCE)
        for partition_key in partitions:
            self._consider(board.uow, dag, partition_key)
        if len(partitions) == PARTITIONS_AT_ONCE:
            _leave(board.uow, CONSIDER, dag_id, json.dumps([team, dag_id, partitions[-1]]))

    def follow(self, uow: UnitOfWork, team: str, event_id: str, partition_key: str, *, after: str = "") -> None:
        """Let DAGs that are scheduled on an event's assets see it, so many, and leave the others for later."""
        dag_ids = assets.scheduled_dags(uow, [event_id], after=after, limit=DAGS_AT_ONCE)
        for dag_id in dag_ids:
            dag = dags.lock(uow, team, dag_id)
            if dag is not None and dag.active:
                assets.add_pending(uow, team, dag_id, event_id, partition_key)
                self._consider(uow, dag, partition_key)
        if len(dag_ids) == DAGS_AT_ONCE:
            _leave(uow, FOLLOW, event_id, dag_ids[-1])

    def _consider(self, uow: UnitOfWork, dag: Row[Any], partition_key: str) -> None:
        """Create a run of a locked DAG where its condition is met by what is pending of a partition."""
        condition = self._plans.get(uow, dag.current_version_id).condition
        if dag.paused or not dag.active or condition is None:
            return
        if not is_met(condition, assets.pending_names(uow, dag.team, dag.dag_id, partition_key)):
            return
        taken = assets.oldest_pending(uow, dag.team, dag.dag_id, partition_key, limit=PIECE)
        event_ids = {row.event_id for row in taken}
        assets.take_pending(uow, dag.team, dag.dag_id, partition_key, taken)
        newest = assets.get_event(uow, max(event_ids))
        assert newest is not None
        facts = assets.facts_of(uow, event_ids)
        command = TriggerRun(
            team=dag.team,
            dag_id=dag.dag_id,
            run_type=ASSET,
            triggered_by=f"asset {newest.asset_name}"[:250],
            data_interval_start=facts.start,
            data_interval_end=facts.end,
            partition_key=partition_key,
        )
        try:
            run = self._runs.trigger(uow, command)
        except Refused as why:
            # Nobody asked who could be told; the next event would meet the same.
            _log.warning("No run of DAG %s was created for events of assets: %s", dag.dag_id, why.message)
            return
        assets.give_to_run(uow, run.key, event_ids)
        if len(taken) == PIECE:
            ask(uow, dag.team, dag.dag_id)


def _leave(uow: UnitOfWork, kind: str, subject_id: str, detail: str) -> None:
    row = {
        "id": str(uuid7(uow.now)),
        "kind": kind,
        "run_key": None,
        "subject_id": subject_id,
        "position": 0,
        "detail_json": detail,
        "created_time": uow.now,
    }
    continuations.add(uow, [row])

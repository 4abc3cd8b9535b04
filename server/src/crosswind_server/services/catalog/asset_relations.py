"""What the current versions of DAGs say about assets: scheduled on them, reading or writing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crosswind_server.domain.assets import AssetRef, assets_of
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan
from crosswind_server.store import assets
from crosswind_server.store.unit_of_work import UnitOfWork


def relate(uow: UnitOfWork, team: str, plans: Mapping[str, DagPlan]) -> None:
    """Keep what DAGs whose versions become current name, by their ids, instead of what they named before.

    Events that a DAG has pending stay, but for those of assets that its schedule no longer names.
    """
    named = [(dag_id, *each) for dag_id, plan in sorted(plans.items()) for each in _named_in(plan)]
    ids = identify(uow, team, [asset for *_, asset in named], declared=True)
    rows = {
        (dag_id, role, task_id, ids[asset.name]): {
            "team": team,
            "dag_id": dag_id,
            "role": role,
            "task_id": task_id,
            "asset_id": ids[asset.name],
        }
        for dag_id, role, task_id, asset in named
    }
    assets.replace_relations(uow, team, list(plans), list(rows.values()))


def identify(uow: UnitOfWork, team: str, wanted: Iterable[AssetRef], *, declared: bool = False) -> dict[str, str]:
    """The ids of assets by their names; those that are not known are added.

    Args:
        declared: a manifest names them: what it says of URIs and aliases holds from now on.
    """
    refs: dict[str, AssetRef] = {}
    for each in wanted:
        known = refs.get(each.name)
        refs[each.name] = each if known is None or (each.uri and not known.uri) else known
    found = assets.get(uow, team, refs)
    missing = [ref for name, ref in refs.items() if name not in found]
    if missing:
        assets.add(
            uow,
            [
                {
                    "id": str(uuid7(uow.now)),
                    "team": team,
                    "name": ref.name,
                    "uri": ref.uri,
                    "alias": ref.alias,
                    "created_time": uow.now,
                }
                for ref in missing
            ],
        )
        found = assets.get(uow, team, refs)
    if declared:
        changed = [
            {"id": row.id, "uri": refs[name].uri or row.uri, "alias": refs[name].alias}
            for name, row in sorted(found.items())
            if (refs[name].uri or row.uri, refs[name].alias) != (row.uri, row.alias)
        ]
        assets.describe(uow, changed)
    return {name: row.id for name, row in found.items()}


def _named_in(plan: DagPlan) -> Iterable[tuple[str, str, AssetRef]]:
    if plan.condition is not None:
        for asset in assets_of(plan.condition):
            yield assets.SCHEDULE, "", asset
    for task in plan.tasks:
        for asset in task.inlets:
            yield assets.INLET, task.task_id, asset
        for asset in task.outlets:
            yield assets.OUTLET, task.task_id, asset

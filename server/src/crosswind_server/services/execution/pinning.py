"""References to other bundles: each resolves when it is first assigned, and is pinned for its run.

What waits for the same reference in the run follows in pieces. As long as one is left nothing of it is assigned: the
run is locked for that, by whoever can without waiting. [SCHED-1] [SCHED-3]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row

from crosswind_server.domain.claims import ClaimClass, read_labels
from crosswind_server.domain.ids import uuid7
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.flow.board import PIECE, Board
from crosswind_server.store import claim_classes, continuations, runs, task_instances
from crosswind_server.store.unit_of_work import UnitOfWork

PIN: Final = "pin"
"""Kind of a continuation: pin the rest of a reference in the subject, a run. Its detail names both offer keys."""


def is_unpinned(offer_key: str) -> bool:
    """Whether what is wanted is a reference that has not been resolved."""
    kind, _, rest = offer_key.partition(":")
    return kind == "ref" and "@" not in rest.partition("/")[0]


def assignable(uow: UnitOfWork, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Which of locked instances may be assigned: of references that have not been resolved those whose runs nobody else
    has locked, for they are locked here, and of which none is being pinned."""
    open_runs = {row.run_key for row in rows if is_unpinned(row.offer_key)}
    if not open_runs:
        return rows
    locked = runs.claim(uow, open_runs)
    pinning = {(piece.run_key, json.loads(piece.detail_json)["from"]) for piece in _left(uow, locked)}
    return [
        row
        for row in rows
        if not is_unpinned(row.offer_key) or (row.run_key in locked and (row.run_key, row.offer_key) not in pinning)
    ]


def _left(uow: UnitOfWork, run_keys: Collection[str]) -> Sequence[Row[Any]]:
    return continuations.of_runs(uow, run_keys, PIN) if run_keys else ()


def pin(
    uow: UnitOfWork, plans: PlanCache, place: tuple[str, str], *, to: str, given: Sequence[Row[Any]], budget: int
) -> int:
    """Pin a reference in a run that is locked, with so many of what waits for it; answers how many these were.

    Args:
        place: the run, and the offer key of the reference.
        to: the offer key that it resolves to.
        given: the instances that are assigned; they are pinned in any case.
        budget: so many others at most; what is left follows.
    """
    ids = {row.id for row in given}
    found = task_instances.wanting(uow, *place, limit=len(ids) + budget + 1)
    others = [row for row in found if row.id not in ids]
    _pin(uow, plans, [*given, *others[:budget]], to=to)
    if len(others) > budget:
        run_key, offer_key = place
        continuations.add(
            uow,
            [
                {
                    "id": str(uuid7(uow.now)),
                    "kind": PIN,
                    "run_key": run_key,
                    "subject_id": run_key,
                    "position": 0,
                    "detail_json": _detail(offer_key, to),
                    "created_time": uow.now,
                }
            ],
        )
    return min(len(others), budget)


def go_on(board: Board, piece: Row[Any]) -> None:
    """Work off a continuation of kind `PIN`."""
    detail = json.loads(piece.detail_json)
    found = task_instances.wanting(board.uow, piece.run_key, detail["from"], limit=PIECE + 1)
    _pin(board.uow, board.plans, found[:PIECE], to=detail["to"])
    if len(found) > PIECE:
        board.leave_for(PIN, piece.run_key, piece.subject_id, detail_json=piece.detail_json)
    elif found:
        board.uow.hint(f"work:{board.runs[piece.run_key].team}")


def _detail(offer_key: str, to: str) -> str:
    return json.dumps({"from": offer_key, "to": to})


def _pin(uow: UnitOfWork, plans: PlanCache, rows: Sequence[Row[Any]], *, to: str) -> None:
    if not rows:
        return
    found = claim_classes.get(uow, {row.claim_class for row in rows})
    moved = {row.id: replace(_class_of(row), offer_key=to) for row in found.values()}
    plans.claim_classes.keep(uow, {each.id: each for each in moved.values()})
    # The class of what is not queued may have gone; it gets its new one when it is.
    classes = {row.claim_class: row.claim_class for row in rows} | {old: each.id for old, each in moved.items()}
    values = [{"id": row.id, "offer_key": to, "claim_class": classes[row.claim_class]} for row in rows]
    task_instances.change(uow, values, ("offer_key", "claim_class"))


def _class_of(row: Row[Any]) -> ClaimClass:
    return ClaimClass(
        team=row.team,
        offer_key=row.offer_key,
        queue=row.queue,
        role=row.role,
        slots=row.slots,
        pool=row.pool,
        pool_slots=row.pool_slots,
        task_limit=row.task_limit,
        labels=read_labels(row.labels_json),
    )

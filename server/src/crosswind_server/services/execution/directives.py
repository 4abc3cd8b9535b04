"""What a worker is to do beside its leases: derived from state, said in every reply until it is done. [LEASE-4]"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crosswind_server.domain.states import AttemptState, WorkerState


class DirectiveKind(StrEnum):
    """What to do."""

    CANCEL = "cancel"
    DRAIN = "drain"
    MOVE_AWAY = "move_away"
    RETIRE_BUNDLE = "retire_bundle"
    LOST = "lost"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, order=True)
class Directive:
    """One thing to do; the fields that its kind does not need are empty."""

    kind: DirectiveKind
    attempt_id: str = ""
    reason: str = ""
    bundle: str = ""
    bundle_version: str = ""


MOVE_AWAY = Directive(DirectiveKind.MOVE_AWAY)


def of_worker(worker: Any) -> list[Directive]:
    """What a worker's own state tells it."""
    found = []
    if worker.state == WorkerState.DRAINING:
        found.append(Directive(DirectiveKind.DRAIN))
    if worker.paused:
        found.append(Directive(DirectiveKind.PAUSE))
    if worker.moving:
        found.append(MOVE_AWAY)
    return found


def of_attempts(held: Sequence[Any]) -> list[Directive]:
    """What the live attempts of a worker tell it."""
    return [
        Directive(DirectiveKind.CANCEL, attempt_id=row.id, reason=row.cancel_reason or "It was cancelled.")
        for row in held
        if row.state == AttemptState.CANCELLING
    ]


def digest(directives: Sequence[Directive]) -> str:
    """Names a set of directives; empty where there are none."""
    if not directives:
        return ""
    text = repr([(d.kind.value, d.attempt_id, d.bundle, d.bundle_version) for d in sorted(directives)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

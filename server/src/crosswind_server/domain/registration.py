"""Whether a worker process may take a name. [WORKER-1]

Here belongs the decision between a newcomer and the instance that holds the name. What becomes of the older
instance's attempts is the SUPERSEDE event of `lifecycle`, which comes after the newcomer's outcomes were applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.states import LIVE_WORKER_STATES, WorkerState


class Admission(StrEnum):
    """What a registration does."""

    NEW = "new"
    """Nobody live has the name."""
    RESUME = "resume"
    """The same instance registers again, after a restart of the server or the network: it keeps its leases."""
    SUPERSEDE = "supersede"
    """It takes the name over from an instance that is silent or gone from its machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The newest instance registered under the name.

    Args:
        heard_us: when it last registered, polled or sent a heartbeat, in microseconds since the epoch.
    """

    instance_id: str
    state: WorkerState
    heard_us: int


def admit(
    name: str,
    incumbent: Incumbent | None,
    *,
    instance_id: str,
    own_state: WorkerState | None,
    predecessor_id: str | None,
    now_us: int,
    listening_since_us: int,
    heartbeat_us: int,
) -> Admission:
    """Decides about a registration.

    Args:
        incumbent: the newest instance registered under the name, whatever its state.
        instance_id: of the newcomer.
        own_state: of the newcomer, if this instance id registered before.
        predecessor_id: the instance whose state folder the newcomer holds locked, None if it holds none.
        listening_since_us: since when this server accepts heartbeats; silence before it proves nothing.
        heartbeat_us: the heartbeat interval. Twice of it without a sign of life is a missed heartbeat, so that a
            heartbeat that is merely late takes nobody's name away.

    Raises:
        Refused: WORKER_NAME_IN_USE, the name belongs to a live instance; WORKER_SUPERSEDED, this very instance was
            replaced or deregistered, and must register under a new instance id.
    """
    if own_state in (WorkerState.SUPERSEDED, WorkerState.GONE):
        raise Refused(
            Reason.WORKER_SUPERSEDED,
            f"This instance of worker '{name}' is {own_state}; stop its tasks and register a new instance.",
            metadata={"worker": name, "instance_id": instance_id, "state": own_state.name},
        )
    if incumbent is None:
        return Admission.NEW
    if incumbent.instance_id == instance_id:
        return Admission.RESUME
    if incumbent.state not in LIVE_WORKER_STATES:
        return Admission.NEW
    silent_us = now_us - max(incumbent.heard_us, listening_since_us)
    if predecessor_id == incumbent.instance_id or silent_us > 2 * heartbeat_us:
        return Admission.SUPERSEDE
    raise Refused(
        Reason.WORKER_NAME_IN_USE,
        f"A live worker already has the name '{name}'; choose another name with --name, stop the other worker,"
        f" or wait until it has been silent for {2 * heartbeat_us / 1_000_000:g} seconds.",
        metadata={"worker": name, "instance_id": incumbent.instance_id},
    )

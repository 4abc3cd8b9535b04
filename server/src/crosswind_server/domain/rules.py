"""The rules that hold at all times, by id.

Here belong the ids and their sentences as the tables of `lifecycle` and `transitions` cite them. How a rule is kept is
said there; the protocol's own wording, with the messages involved, is in the proto comments and `docs/protocol.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        "LEASE-1": (
            "At most one lease of a task instance is valid. Every write and read for an attempt names its lease, and"
            " nothing but an attempt's own last logs is accepted under a lease that was revoked."
        ),
        "LEASE-2": (
            "An attempt that is not started by its start deadline goes back to the queue at no cost of a try. A lease"
            " that the poll does not list is sent again; after five deliveries the attempt fails."
        ),
        "LEASE-3": (
            "Expiry is a committed transition, never a comparison with a clock at write time. No lease expires before"
            " the server has accepted heartbeats for one full lease duration. An expired attempt is LOST."
        ),
        "LEASE-4": (
            "Cancel leads through CANCELLING, which accepts only logs and the closing finish, and no successor is"
            " leased before the worker confirms or the lease expires. A success that arrives then is recorded as"
            " cancelled and its result dropped."
        ),
        "FIN-1": (
            "An outcome has an id. The same id answers OK before any other check, as often as asked; another id is a"
            " conflict and the first outcome stays."
        ),
        "WORKER-1": (
            "A live worker's name is refused; a newcomer that supersedes it first has the outcomes that it brings"
            " applied, then the older instance's other attempts are LOST."
        ),
        "AUTH-1": (
            "A lease says which task. Cancel, clear, expiry and removal revoke at once, because every call checks the"
            " lease."
        ),
        "BYTES-1": (
            "Logs may arrive after the finish, until their final sequence number or until a grace period has passed."
        ),
        "SCHED-1": (
            "What follows from an end is committed with it. What fans out without bound leaves a continuation, which is"
            " worked off in bounded pieces; a chain never waits for a polling loop."
        ),
        "SCHED-2": (
            "Readiness is counted, never searched: an end costs the number of tasks that wait for it. What waits for a"
            " moment is found by an index."
        ),
        "SCHED-3": (
            "A task that waits says why. A run keeps the DAG version that it began with, and its DAG says what happens"
            " when nobody offers that version any more."
        ),
        "STOP-1": "A stopping server ends no attempt; a stopping worker drains, and deregisters when it is done.",
    }
)

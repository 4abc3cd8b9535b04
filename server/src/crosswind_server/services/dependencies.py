"""What handlers work with, put together once by `crosswind_server.app`.

Here belongs the one dataclass; the things in it belong to the modules that define them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from crosswind_server.domain.version import ServedVersions
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.services.access.tokens import TokenSigner, TokenVerifier
from crosswind_server.services.call_counts import CallCounts
from crosswind_server.services.heart import Heart
from crosswind_server.store.engine import Store
from crosswind_server.store.errors import StoreUnavailable
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import Timing

__all__ = ["Services", "StoreUnavailable", "UnitOfWork"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of a running server that handlers share.

    Args:
        store: the database.
        timing: every duration that the server keeps and tells.
        sealer: opens and seals secrets.
        signer: makes tokens; it is used within a transaction that also records the token.
        verifier: tells who holds a token.
        heart: what runs DAGs.
        server_id: id of this server process, a UUID.
        started_us: when this process started, microseconds since the epoch.
        served: the API versions that it speaks.
        version: of the `crosswind-server` distribution.
        database_connections: how many connections this process holds open.
        in_memory: whether everything is gone when the server stops.
        calls: how many calls this process took.
        stopping: set when the server begins to stop: whoever waits for a hint answers then. [STOP-1]
    """

    store: Store
    timing: Timing
    sealer: Sealer
    signer: TokenSigner
    verifier: TokenVerifier
    heart: Heart
    server_id: str
    started_us: int
    served: ServedVersions
    version: str
    in_memory: bool = False
    database_connections: int = 0
    calls: CallCounts = field(default_factory=CallCounts)
    stopping: threading.Event = field(default_factory=threading.Event)

"""What handlers work with, put together once by `crosswind_server.app`.

Here belongs the one dataclass; the things in it belong to the modules that define them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crosswind_server.services.sealing import Sealer
from crosswind_server.services.tokens import TokenSigner, TokenVerifier
from crosswind_server.store.engine import Store
from crosswind_server.timing import Timing


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of a running server that handlers share.

    Args:
        store: the database.
        timing: every duration that the server keeps and tells.
        sealer: opens and seals secrets.
        signer: makes tokens; it is used within a transaction that also records the token.
        verifier: tells who holds a token.
        server_id: id of this server process, a UUID.
        started_us: when this process started, microseconds since the epoch.
        version: of the `crosswind-server` distribution.
        database_connections: how many connections this process holds open.
        in_memory: whether everything is gone when the server stops.
    """

    store: Store
    timing: Timing
    sealer: Sealer
    signer: TokenSigner
    verifier: TokenVerifier
    server_id: str
    started_us: int
    version: str
    in_memory: bool = False
    database_connections: int = field(default=0)

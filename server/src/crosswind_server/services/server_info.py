"""What a server says of itself to a team."""

from __future__ import annotations

from dataclasses import dataclass

from crosswind_server.store.server_counts import Counts, count_team
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """The database's clock in microseconds since the epoch, and what the team has and does."""

    database_us: int
    counts: Counts


def read_info(uow: UnitOfWork, team: str) -> ServerInfo:
    """Read what there is to say."""
    return ServerInfo(database_us=uow.now, counts=count_team(uow, team))

"""Repeating a call: the same message with the same request id is answered with the first answer. [FIN-1]

Here belong the identity of a mutating call and the keeping of its answer, in the transaction that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.store import requests as rows
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork

KEEP_US: Final = 2 * 86_400_000_000
"""Answers are kept twice as long as the protocol promises."""
_PIECE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestIdentity:
    """What makes two calls the same.

    Args:
        team: of the caller.
        request_id: made by the caller, UUID text.
        method: the full name of the RPC.
        digest: SHA-256 over the message.
    """

    team: str
    request_id: str
    method: str
    digest: bytes


def check_request_id(request_id: str) -> str:
    """A request id in its one spelling. Raises `Refused`: INVALID_ARGUMENT."""
    try:
        return str(UUID(request_id))
    except ValueError:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "Every call that changes something carries a `request_id`, a UUID made for this call.",
            metadata={"field": "request_id"},
        ) from None


def once(uow: UnitOfWork, sealer: Sealer, identity: RequestIdentity, act: Callable[[UnitOfWork], bytes]) -> bytes:
    """Carry out a call, unless it was before: then the first answer. Answers are sealed, for they may hold a token.

    Raises:
        Refused: REQUEST_ID_REUSED, the id was used with another message; and what the call itself raises.
    """
    place = f"answered_request:{identity.team}/{identity.request_id}"
    answered = rows.get_answer(uow, identity.team, identity.request_id)
    if answered is not None:
        if (answered.method, answered.request_sha256) != (identity.method, identity.digest):
            raise Refused(
                Reason.REQUEST_ID_REUSED,
                f"The request id {identity.request_id} was used before with another message; make a new one.",
                metadata={"request_id": identity.request_id},
            )
        return sealer.open(answered.response_message, place)
    response = act(uow)
    answer = rows.AnsweredRequest(
        method=identity.method, request_sha256=identity.digest, response_message=sealer.seal(response, place)
    )
    rows.add_answer(uow, identity.team, identity.request_id, answer)
    return response


def forget_old_answers(uow: UnitOfWork) -> int:
    """Delete answers that nobody may ask for any more, a piece of them; returns how many."""
    return rows.delete_answers(uow, before=uow.now - KEEP_US, most=_PIECE)


def _perform(uow: UnitOfWork, action: Callable[[UnitOfWork], bytes]) -> bytes:
    return action(uow)


PERFORM: Final = each(_perform)
"""Handler of rare changes: its request is the action itself, which answers a serialized message."""

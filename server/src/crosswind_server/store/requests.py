"""Queries of answered requests. What an answer is, and how it is hidden, is decided in `services.requests`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, tuple_

from crosswind_server.store.schema import answered_request
from crosswind_server.store.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRequest:
    """The first answer to a request id."""

    method: str
    request_sha256: bytes
    response_message: bytes


def get_answer(uow: UnitOfWork, team: str, request_id: str) -> AnsweredRequest | None:
    """Read the answer that was given under a request id."""
    table = answered_request.c
    row = uow.execute(
        select(table.method, table.request_sha256, table.response_message).where(
            table.team == team, table.request_id == request_id
        )
    ).first()
    if row is None:
        return None
    return AnsweredRequest(
        method=row.method, request_sha256=bytes(row.request_sha256), response_message=bytes(row.response_message)
    )


def add_answer(uow: UnitOfWork, team: str, request_id: str, answer: AnsweredRequest) -> None:
    """Keep an answer. Two servers that answer the same request at once collide here, and one of them is replayed."""
    uow.execute(
        insert(answered_request).values(
            team=team,
            request_id=request_id,
            method=answer.method,
            request_sha256=answer.request_sha256,
            response_message=answer.response_message,
            created_time=uow.now,
        )
    )


def delete_answers(uow: UnitOfWork, *, before: int, most: int) -> int:
    """Forget answers given before a time, so many at most; returns how many."""
    table = answered_request.c
    old = select(table.team, table.request_id).where(table.created_time < before).limit(most)
    keys = [tuple(row) for row in uow.execute(old)]
    gone = delete(answered_request).where(tuple_(table.team, table.request_id).in_(keys))
    return uow.execute(gone).rowcount if keys else 0

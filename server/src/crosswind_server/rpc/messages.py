"""Between messages and plain values: times, spans, pages, and the carrying out of changes.

Here belongs what every control handler needs. Nouns have their own modules.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import PageKey, decode_page_token, encode_page_token
from crosswind_server.rpc.authentication import caller
from crosswind_server.services.dependencies import Services, UnitOfWork
from crosswind_server.services.requests import PERFORM, RequestIdentity, check_request_id, once

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1_000
LONGEST_WAIT_S: Final = 30.0

M = TypeVar("M", bound=Message)
R = TypeVar("R")


def invalid(field: str, message: str) -> Refused:
    """The refusal of a field."""
    return Refused(Reason.INVALID_ARGUMENT, message, metadata={"field": field})


def required(value: str, field: str) -> str:
    """A text that must be given. Raises `Refused`: INVALID_ARGUMENT."""
    if not value:
        raise invalid(field, f"`{field}` is missing; give it.")
    return value


def timestamp(microseconds: int | None) -> Timestamp | None:
    """A time as a message; None stays absent."""
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def microseconds(time: Timestamp, field: str) -> int:
    """A time in microseconds since the epoch. Raises `Refused`: INVALID_ARGUMENT."""
    if not -62_135_596_800 <= time.seconds <= 253_402_300_799 or not 0 <= time.nanos < 1_000_000_000:
        raise invalid(field, f"`{field}` is not a time between the years 1 and 9999.")
    return time.seconds * 1_000_000 + time.nanos // 1000


def span_us(duration: Duration) -> int:
    """A span in microseconds."""
    return duration.seconds * 1_000_000 + duration.nanos // 1000


def wait_seconds(duration: Duration) -> float:
    """How long a call may wait, in seconds."""
    return min(max(duration.seconds + duration.nanos / 1e9, 0.0), LONGEST_WAIT_S)


# --- pages ------------------------------------------------------------------------------------------------------------


class _Listing(Protocol):
    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a listing are wanted.

    Args:
        size: rows at most.
        after: sort keys of the last row of the page before, None for the first page.
        scope: what the page token is bound to.
    """

    size: int
    after: tuple[PageKey, ...] | None
    scope: Mapping[str, object]

    @property
    def limit(self) -> int:
        """Rows to ask the database for: one more, which tells whether there is another page."""
        return self.size + 1

    def split(self, rows: Sequence[R], keys: Callable[[R], Sequence[PageKey]]) -> tuple[Sequence[R], str]:
        """The rows of this page and the token of the next."""
        if len(rows) <= self.size:
            return rows, ""
        shown = rows[: self.size]
        return shown, encode_page_token(keys(shown[-1]), scope=self.scope)


def read_page(request: Message, team: str) -> Page:
    """The page that a listing request asks for.

    Args:
        request: a message with `page_size` and `page_token`; all its other fields are the filter.
        team: of the caller.

    Raises:
        Refused: INVALID_ARGUMENT or PAGE_TOKEN_INVALID.
    """
    listing: _Listing = request  # type: ignore[assignment]  # every listing request has both fields
    if listing.page_size < 0:
        raise invalid("page_size", "`page_size` is below 0; leave it out for 100 rows.")
    filter_only = type(request).FromString(request.SerializeToString())
    filter_only.ClearField("page_size")
    filter_only.ClearField("page_token")
    scope = {
        "listing": request.DESCRIPTOR.full_name,
        "team": team,
        "filter": hashlib.sha256(filter_only.SerializeToString(deterministic=True)).hexdigest(),
    }
    after = decode_page_token(listing.page_token, scope=scope) if listing.page_token else None
    return Page(size=min(listing.page_size or DEFAULT_PAGE, LARGEST_PAGE), after=after, scope=scope)


# --- changes and waits ------------------------------------------------------------------------------------------------


async def change(
    services: Services,
    request: Message,
    response_type: type[M],
    act: Callable[[UnitOfWork], M],
    *,
    check: Callable[[UnitOfWork], None] = lambda _: None,
    team: str = "",
) -> M:
    """Carry out a request that has a `request_id`, once, and answer what it answered first.

    Args:
        services: of this server.
        request: the message; its id and its bytes identify the call.
        response_type: what is answered.
        act: does it within a transaction.
        check: what must hold, in the same transaction, also for a call that was answered before.
        team: of the caller; by default that of the token.
    """
    identity = RequestIdentity(
        team=team or caller().team,
        request_id=check_request_id(request.request_id),  # type: ignore[attr-defined]  # every change has one
        method=request.DESCRIPTOR.full_name,
        digest=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
    )

    def perform(uow: UnitOfWork) -> bytes:
        check(uow)
        return once(uow, services.sealer, identity, lambda inner: act(inner).SerializeToString())

    return response_type.FromString(await services.store.write(PERFORM, perform))


async def read_or_wait(
    services: Services,
    topics: Callable[[R], Sequence[str]],
    read: Callable[[UnitOfWork], R],
    *,
    done: Callable[[R], bool],
    wait: float,
    look_again: Callable[[R], float | None] = lambda _: None,
) -> R:
    """Read, and while there is nothing to say wait for a hint and read again.

    Args:
        services: of this server.
        topics: what to wait for, given what was read.
        read: the query.
        done: whether there is something to say.
        wait: seconds at most.
        look_again: in how many seconds something changes that nobody hints; None: nothing does.
    """
    result = await services.store.read(read)
    if wait <= 0 or done(result):
        return result
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait
    watched = topics(result)
    async with services.store.hints.subscribe(*watched) as subscription:
        while True:
            # Between the read before and the subscription, or the hint before, another one may have passed.
            result = await services.store.read(read)
            left = deadline - clock()
            if done(result) or left <= 0 or services.stopping.is_set() or topics(result) != watched:
                return result
            again = look_again(result)
            await subscription.wait(left if again is None else min(left, max(again, 0.0) + 0.01))

"""Ids, leases, readable run ids and page tokens.

Here belong the shapes of what we make up. `now` is an argument; random bits come from the operating system, or from
the test that passes them in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from crosswind_server.domain.errors import Reason, Refused

RandomBits = Callable[[int], int]
"""Returns that many random bits as an integer, like `secrets.randbits`."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UuidSource:
    """Makes UUIDs of version 7 that rise within the process, also when the clock stands still or steps back.

    Layout of RFC 9562, section 5.7, with method 3 of section 6.2: the 12 bits after the milliseconds hold the
    fraction of the millisecond, and a tie or a step back continues from the last value. Safe to share among threads.
    """

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = -1

    def make(self, now_us: int) -> UUID:
        """A new id.

        Args:
            now_us: microseconds since the epoch, UTC, not negative.
        """
        if now_us < 0:
            raise ValueError("a UUID of version 7 needs a time after 1970")
        milliseconds, rest_us = divmod(now_us, 1000)
        tick = milliseconds << 12 | rest_us * 4096 // 1000
        with self._lock:
            tick = self._last = max(tick, self._last + 1)
        return UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | self._random_bits(62))


_PROCESS_UUIDS = UuidSource()


def uuid7(now_us: int) -> UUID:
    """A new UUID of version 7, rising within this process."""
    return _PROCESS_UUIDS.make(now_us)


def make_lease(random_bits: RandomBits = secrets.randbits) -> str:
    """A lease: 128 random bits as 32 hexadecimal digits. It says which task, so it must not be guessed. [AUTH-1]"""
    return f"{random_bits(128):032x}"


def time_text(now_us: int) -> str:
    """A time as `2026-11-23T10:15:00.123456Z`, always with six digits so that texts sort as times do."""
    return (EPOCH + timedelta(microseconds=now_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def make_run_id(run_type: str, now_us: int) -> str:
    """A readable run id such as `manual__2026-11-23T10:15:00.123456Z`, unique per DAG by the store's constraint."""
    return f"{run_type}__{time_text(now_us)}"


PageKey = str | int | None


def encode_page_token(keys: Sequence[PageKey], *, scope: Mapping[str, object]) -> str:
    """A token for the page after the row with these sort keys, good only for the same filter.

    Args:
        keys: the sort keys of the last row shown.
        scope: the filter: everything that selects and orders the rows, JSON values only; page size is not part of it.
    """
    body = json.dumps(list(keys), ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(body, scope) + body).rstrip(b"=").decode()


def decode_page_token(token: str, *, scope: Mapping[str, object]) -> tuple[PageKey, ...]:
    """The sort keys in a token.

    Raises:
        Refused: PAGE_TOKEN_INVALID, the token was changed, cut, or made for another filter.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        # A token is accepted only in the one spelling in which it was made.
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token and digest == _digest(body, scope):
            return tuple(json.loads(body))
    except (binascii.Error, ValueError):
        pass
    raise Refused(
        Reason.PAGE_TOKEN_INVALID,
        "The page token does not belong to this list and filter; start again without a page token.",
    )


_DIGEST_BYTES: Final = 9


def _digest(body: bytes, scope: Mapping[str, object]) -> bytes:
    """Binds a token to its filter. Not a secret: a forged token reaches no row that the filter does not."""
    canonical = json.dumps(scope, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(len(canonical).to_bytes(8, "big") + canonical + body).digest()[:_DIGEST_BYTES]

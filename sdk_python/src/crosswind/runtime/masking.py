"""Secrets and their masking: what is never to leave the worker in a log or a failure. [BYTES-1]

Here belongs which texts are secrets, in which forms they appear, and replacing them. Where texts come from belongs to
`attempt_log.py` and `attempt.py`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from crosswind.execution.v1 import failure_pb2, lease_pb2

MASK: Final = "***"
# A shorter one would mask half of every log and protect nothing.
SHORTEST: Final = 3
# The part of a base64 text that does not depend on what stands beside the secret; shorter ones appear by chance.
_SHORTEST_CORE: Final = 6


class Masker:
    """The secrets of one attempt. They grow while it runs; the pattern is compiled when it is needed next."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._followers: list[Masker] = []
        self._pattern: re.Pattern[str] | None = None
        self._stale = False

    def add(self, secret: str) -> None:
        """Registers a secret: from now on it is masked. Of one with several lines, each line is one too."""
        found = {
            text for text in (secret, *secret.splitlines()) for text in (text, text.strip()) if len(text) >= SHORTEST
        }
        if not found <= self._secrets:
            self._secrets |= found
            self._stale = True
            for follower in self._followers:
                follower.add(secret)

    def share_with(self, other: Masker) -> None:
        """Registers all secrets, those to come too, with another masker: that of a process with several attempts."""
        if other not in self._followers:
            self._followers.append(other)
            for secret in self._secrets:
                other.add(secret)

    def add_variable(self, variable: lease_pb2.Variable) -> None:
        """Registers the value of a variable that is not public; of a JSON value also the strings in it."""
        if not variable.public:
            self.add(variable.value)
            self._add_json(variable.value)

    def add_connection(self, connection: lease_pb2.Connection) -> None:
        """Registers the password and the strings among the further settings."""
        self.add(connection.password)
        self.add(connection.extra_json)
        self._add_json(connection.extra_json)

    def mask(self, text: str) -> str:
        """The text with every secret, in any of its forms, replaced."""
        pattern = self._compiled()
        return text if pattern is None else pattern.sub(MASK, text)

    def mask_json(self, text: str) -> str:
        """As `mask`, for a JSON text, which stays one."""
        pattern = self._compiled()
        if pattern is None or pattern.search(text) is None:
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return json.dumps(pattern.sub(MASK, text))
        return json.dumps(self._mask_value(value), ensure_ascii=False)

    def mask_cut(self, text: str) -> str:
        """As `mask`, for a text whose end has been cut off: half a secret at its end is taken away too."""
        masked = self.mask(text)
        longest = max(
            (
                length
                for secret in self._secrets
                for length in range(min(len(secret) - 1, len(masked)), SHORTEST - 1, -1)
                if masked.endswith(secret[:length])
            ),
            default=0,
        )
        return masked[: len(masked) - longest] if longest else masked

    def mask_failure(self, failure: failure_pb2.Failure) -> None:
        """Masks a failure and its causes in place."""
        if self._compiled() is None:
            return
        while True:
            failure.message = self.mask(failure.message)
            for frame in failure.frames:
                frame.code = self.mask(frame.code)
            if failure.HasField("exit"):
                failure.exit.stderr_tail = self.mask(failure.exit.stderr_tail)
            if not failure.HasField("cause"):
                return
            failure = failure.cause

    def _add_json(self, text: str) -> None:
        if text[:1] in ("{", "[", '"'):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return
            for string in _strings(value):
                self.add(string)

    def _mask_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(key): self._mask_value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mask_value(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        masked = self.mask(json.dumps(value))
        return masked if MASK in masked else value

    def _compiled(self) -> re.Pattern[str] | None:
        if self._stale:
            self._pattern = _compile(frozenset(self._secrets))
            self._stale = False
        return self._pattern


def forms(secret: str) -> Iterator[str]:
    """The forms in which a secret may appear in a text: as it is, escaped, quoted for URLs, in base64."""
    yield secret
    for ascii_only in (False, True):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    yield repr(secret)[1:-1]
    data = secret.encode(errors="surrogatepass")
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        yield whole
        yield whole.rstrip("=")
        # Inside something larger, such as `login:password`, it may begin at any of three places of a group.
        for shift in range(3):
            encoded = encode(bytes(shift) + data).decode()
            core = encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
            if len(core) >= _SHORTEST_CORE:
                yield core


# Tasks of one DAG mostly have the same secrets, and compiling takes longer than a short task's whole log.
@lru_cache(maxsize=256)
def _compile(secrets: frozenset[str]) -> re.Pattern[str] | None:
    texts = {form for secret in secrets for form in forms(secret) if len(form) >= SHORTEST}
    return re.compile(_alternatives(sorted(texts))) if texts else None


def _alternatives(texts: list[str]) -> str:
    """A pattern that matches the longest of the texts; common beginnings are written once, which makes it fast.

    Args:
        texts: sorted, without repetition.
    """
    optional = texts[0] == ""
    if optional:
        texts = texts[1:]
    branches = []
    start = 0
    while start < len(texts):
        end = start + 1
        while end < len(texts) and texts[end][0] == texts[start][0]:
            end += 1
        group = texts[start:end]
        start = end
        shared = _common_start(group[0], group[-1])
        rest = [text[len(shared) :] for text in group]
        branches.append(re.escape(shared) + ("" if rest == [""] else _alternatives(rest)))
    body = branches[0] if len(branches) == 1 and not optional else f"(?:{'|'.join(branches)})"
    return f"{body}?" if optional else body


def _common_start(first: str, last: str) -> str:
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return first[:length]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)

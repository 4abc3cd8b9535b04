"""Words, spans, moments and values, as transcripts write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from crosswind.value.v1.value_pb2 import Item, Items, Payload

SECOND: Final = 1_000_000
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_UNITS: Final = {"ms": 1_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(Exception):
    """A transcript that cannot be read; the message says where."""


def split(text: str, separators: str) -> list[str]:
    """The parts between separators that stand outside of quotes and brackets, without blanks around them."""
    parts, depth, quoted, part = [], 0, False, ""
    for at, character in enumerate(text):
        if character == '"' and (at == 0 or text[at - 1] != "\\"):
            quoted = not quoted
        elif not quoted:
            depth += (character in "([{") - (character in ")]}")
        if character in separators and not quoted and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    if quoted or depth:
        raise Unreadable(f"A quote or bracket is left open in: {text}")
    return [each.strip() for each in [*parts, part] if each.strip()]


def cut_braces(text: str) -> tuple[str, str]:
    """What stands before the braces at the end of a text, and what stands in them."""
    words = split(text, " \t\n")
    if not words or not words[-1].startswith("{"):
        raise Unreadable(f"There are no braces at the end of: {text}")
    return text[: text.rindex(words[-1])], words[-1][1:-1]


def unquote(text: str) -> str:
    """What a quoted word says; any other word is itself."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        unquoted: str = json.loads(text)
        return unquoted
    return text


@dataclass
class Arguments:
    """The words behind a command's verb. What a command does not take is an error, so that nothing is misspelt.

    Args:
        words: those without `=`, in order.
        options: those with one.
        raw: all of them, as written.
    """

    words: list[str]
    options: dict[str, str]
    raw: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Arguments:
        """Split a command's text."""
        words: list[str] = []
        options: dict[str, str] = {}
        for word in split(text, " \t\n"):
            key, equals, value = word.partition("=")
            if equals and re.fullmatch(r"[\w.-]+", key):
                options[key] = unquote(value)
            else:
                words.append(unquote(word))
        return cls(words, options, text)

    def word(self, what: str) -> str:
        """The next word."""
        if not self.words:
            raise Unreadable(f"There is no {what} in: {self.raw}")
        return self.words.pop(0)

    def flag(self, name: str) -> bool:
        """Whether a word stands there by itself."""
        if name in self.words:
            self.words.remove(name)
            return True
        return False

    def get(self, key: str, default: str = "") -> str:
        """An option."""
        return self.options.pop(key, default)

    def number(self, key: str) -> int | None:
        """An option that is a number."""
        return int(self.options.pop(key)) if key in self.options else None

    def names(self, key: str) -> list[str]:
        """An option that is names with commas between them."""
        return split(self.get(key), ",")

    def below(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The options `prefix.key`, by their keys."""
        for key in [key for key in self.options if key.startswith(prefix + ".")]:
            yield key.removeprefix(prefix + "."), self.options.pop(key)

    def rest(self) -> str:
        """All that is written, for a command that reads it by itself."""
        self.words.clear()
        self.options.clear()
        return self.raw

    def done(self) -> None:
        """Nothing may be left."""
        left = [*self.words, *self.options]
        if left:
            raise Unreadable(f"Nobody takes {', '.join(left)} in: {self.raw}")


def span_us(text: str) -> int:
    """`1h30m`, `5m`, `10s`, `500ms`, `2d` in microseconds."""
    found = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise Unreadable(f"{text!r} is no span of time, such as 1h30m")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in found)


def duration(text: str) -> Duration:
    """The same as a message."""
    made = Duration()
    made.FromMicroseconds(span_us(text))
    return made


def moment_us(text: str, now_us: int) -> int:
    """`2026-03-28T12:00Z`, `2026-03-28` or, from now on, `+5m` in microseconds since 1970."""
    if text.startswith("+"):
        return now_us + span_us(text[1:])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def timestamp(text: str, now_us: int) -> Timestamp:
    """The same as a message."""
    made = Timestamp()
    made.FromMicroseconds(moment_us(text, now_us))
    return made


def show_moment(us: int) -> str:
    """A moment, as short as it can be written."""
    text = (_EPOCH + timedelta(microseconds=us)).isoformat()
    text = text.removesuffix("+00:00")
    return text.removesuffix(":00") + "Z"


def show_span(us: int) -> str:
    """A span, as short as it can be written."""
    if us < 0:
        return "-" + show_span(-us)
    parts = []
    for unit in ("d", "h", "m"):
        count, us = divmod(us, _UNITS[unit])
        parts.append(f"{count}{unit}" if count else "")
    if us or not any(parts):
        parts.append(f"{us / SECOND:g}s")
    return "".join(parts)


def value_of(text: str) -> Any:
    """JSON, or the text itself where that is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def payload(value: Any) -> Payload:
    """A value as an SDK sends it: a list as its items."""
    if isinstance(value, list):
        items = [Item(data=json.dumps(item).encode()) for item in value]
        return Payload(encoding="json/utf-8", items=Items(items=items))
    return Payload(encoding="json/utf-8", data=json.dumps(value).encode())


def show_payload(message: Payload) -> str:
    """A payload as JSON."""
    if message.HasField("items"):
        return "[" + ",".join(item.data.decode() for item in message.items.items) + "]"
    return message.data.decode() or "nothing"

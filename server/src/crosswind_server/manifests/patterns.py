"""Patterns of JSON Schemas, matched in a number of steps that is known before: whoever writes one cannot hold a server.

RE2 goes through a text once, whatever the pattern, at a cost of at most the pattern's size for each byte; Python's `re`
goes back and forth, for ever with some. What needs that, such as looking ahead, is refused. Here belong the keywords of
JSON Schema that match patterns, and what a pattern may be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import re2
from jsonschema import ValidationError

LONGEST_MATCHED: Final = 1_000
"""Characters of a text that is matched with a pattern."""
LARGEST_PROGRAM: Final = 2_000
"""Instructions of a pattern: so many steps at most it takes for a byte of a text."""
MOST_PATTERNS: Final = 100
"""In one schema."""
_SHOWN: Final = 100
_MEMORY_BYTES: Final = 1 << 20


@functools.lru_cache(maxsize=4_096)
def compile_pattern(pattern: str) -> Any:
    """A pattern that is matched in bounded time. Raises `ValueError`, which says why not."""
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    shown = repr(pattern[:_SHOWN])
    try:
        compiled = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError):
        raise ValueError(
            f"the pattern {shown} is none that RE2 can match; write it without looking around or back, and without"
            " large repetitions"
        ) from None
    if compiled.programsize > LARGEST_PROGRAM:
        raise ValueError(f"the pattern {shown} is too large; let it repeat less")
    return compiled


def check_patterns(schema: object) -> None:
    """Check the patterns in a schema. Raises `ValueError`."""
    found = list(entries(schema))
    patterns = [value for key, value in found if key == "pattern" and isinstance(value, str)]
    for key, value in found:
        if key == "patternProperties" and isinstance(value, dict):
            patterns += value
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"it has more than {MOST_PATTERNS} patterns")
    keys = {key for key, _ in found}
    if "patternProperties" in keys and "unevaluatedProperties" in keys:
        raise ValueError("it has `unevaluatedProperties` beside `patternProperties`; use `additionalProperties`")
    for pattern in patterns:
        compile_pattern(pattern)


def entries(schema: object) -> Iterator[tuple[str, object]]:
    """All keys of a schema with what they say, at any depth."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            yield from entries(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from entries(value)


def _matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text.encode(errors="replace")) is not None


def _too_long() -> ValidationError:
    return ValidationError("too long for a pattern", validator="pattern_length")


def _pattern(_: Any, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        if len(instance) > LONGEST_MATCHED:
            yield _too_long()
        elif not _matches(pattern, instance):
            yield ValidationError("no match")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: object, _: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    if any(len(key) > LONGEST_MATCHED for key in instance):
        yield _too_long()
        return
    for pattern, wanted in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, wanted, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, wanted: Any, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    # What is too long for a pattern is told by `patternProperties`.
    unknown = [
        key
        for key in instance
        if key not in schema.get("properties", {})
        and (len(key) > LONGEST_MATCHED or not any(_matches(pattern, key) for pattern in patterns))
    ]
    if wanted is False and unknown:
        yield ValidationError("unknown properties")
    elif isinstance(wanted, dict):
        for key in unknown:
            yield from validator.descend(instance[key], wanted, path=key)


KEYWORDS: Final[Mapping[str, Any]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
"""How a validator treats the keywords that match patterns. The patterns of its schema have been checked."""

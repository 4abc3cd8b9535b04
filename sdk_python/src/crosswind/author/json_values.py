"""Why a value is not JSON, in words that say where and what to do.

Here belong explanations: `codec.py` asks for them when writing has failed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

_MAX_DEPTH: Final = 200

_WAYS_OUT: Final[Mapping[str, str]] = {
    "crosswind.author.results.XComArg": "pass it to a task as an argument",
    "crosswind.author.params.ParamArg": "pass it to a task as an argument",
    "datetime.datetime": "return value.isoformat() and read it with datetime.fromisoformat",
    "datetime.date": "return value.isoformat() and read it with date.fromisoformat",
    "datetime.time": "return value.isoformat()",
    "datetime.timedelta": "return value.total_seconds()",
    "builtins.set": "return sorted(value), a list",
    "builtins.frozenset": "return sorted(value), a list",
    "builtins.bytes": "decode it to text, or write it to a file and return its path",
    "builtins.bytearray": "decode it to text, or write it to a file and return its path",
    "builtins.range": "return list(value)",
    "builtins.generator": "return list(value)",
    "builtins.dict_keys": "return list(value)",
    "builtins.dict_values": "return list(value)",
    "builtins.complex": "return its parts",
    "builtins.function": "return what it computes",
    "builtins.coroutine": "await it",
    "builtins.map": "return list(value)",
    "builtins.filter": "return list(value)",
    "builtins.zip": "return list(value)",
    "collections.deque": "return list(value)",
    "decimal.Decimal": "return str(value) and read it with Decimal",
    "fractions.Fraction": "return str(value) and read it with Fraction",
    "uuid.UUID": "return str(value)",
    "numpy.ndarray": "return value.tolist()",
    "pandas.core.frame.DataFrame": 'return value.to_dict("records"), or write a file and return its path',
    "pandas.core.series.Series": "return value.tolist()",
    "pandas._libs.tslibs.timestamps.Timestamp": "return value.isoformat()",
}


def has_only_text_keys(value: object) -> bool:
    """Whether every key of every dict in a value is text. `json` would turn others into text without a word.

    The value must have been written by `json` before, which refuses circular ones.
    """
    if isinstance(value, dict):
        return all(type(key) is str or isinstance(key, str) for key in value) and all(
            has_only_text_keys(item) for item in value.values() if isinstance(item, dict | list | tuple)
        )
    if isinstance(value, list | tuple):
        return all(has_only_text_keys(item) for item in value if isinstance(item, dict | list | tuple))
    return True


def find_fault(value: object, *, what: str, reason: Exception | None) -> str:
    """One sentence on the first thing in `value` that JSON cannot say.

    Args:
        what: names the value, such as "the result of task 'load'".
        reason: what `json` said.
    """
    for path, fault in _faults(value, path="", depth=0):
        place = f"{what}, at {path}," if path else what
        return f"{place[0].upper()}{place[1:]} {fault}."
    return f"{what[0].upper()}{what[1:]} cannot be written as JSON: {reason}."


def _faults(value: Any, *, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _MAX_DEPTH:
        yield path[:60] + "...", "is nested too deeply or contains itself; return a flat structure"
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, f"is {value!r}, which JSON has no word for; return None or a text instead"
    elif isinstance(value, int):
        if value.bit_length() > 14_000:
            yield (
                path,
                "is an integer of more than 4,300 digits, which Python does not write; return hex(value), a text",
            )
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            yield path, "is text with a lone surrogate, which UTF-8 cannot hold; decode it with errors='replace'"
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield (
                    path,
                    f"has the key {key!r} of type {type(key).__qualname__}, and keys in JSON are text; "
                    "use {str(key): value}",
                )
                return
            yield from _faults(key, path=path, depth=depth + 1)
            yield from _faults(item, path=f"{path}[{key!r}]", depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, path=f"{path}[{index}]", depth=depth + 1)
    else:
        yield path, f"is of type {_type_name(value)}, which is not JSON; {_way_out(value)}"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _way_out(value: Any) -> str:
    for kind in type(value).__mro__:
        way_out = _WAYS_OUT.get(f"{kind.__module__}.{kind.__qualname__}")
        if way_out is not None:
            return way_out
    if dataclasses.is_dataclass(value):
        return "return dataclasses.asdict(value)"
    if hasattr(value, "model_dump"):
        return 'return value.model_dump(mode="json")'
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        return "return value.item()"
    if hasattr(value, "__fspath__"):
        return "return str(value)"
    if hasattr(value, "value") and hasattr(value, "name"):
        return "return value.value"
    return "return plain dicts, lists, text and numbers, or register a codec with crosswind.register_codec"

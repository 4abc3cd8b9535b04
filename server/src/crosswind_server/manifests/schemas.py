"""JSON Schemas that others wrote, of params and of questions: whether one may be used, and whether a value fits it.

A sentence about a value that does not fit names where it is and what is wanted, never the value: it may be a secret.
Nothing is fetched: a schema refers to its own parts only. Whoever writes one cannot hold a server: patterns are matched
in bounded time, and a check takes a bounded number of steps, however its parts refer to each other.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from crosswind_server.manifests import patterns

LONGEST_SCHEMA: Final = 64 * 1024
"""Characters of a schema."""
MOST_STEPS: Final = 30_000
"""Keywords that are applied to parts of one value, so that a check takes a third of a second at most, as measured."""
_SHOWN: Final = 100


class SchemaInvalid(ValueError):
    """A schema that may not be used; the message says why and goes on after "is no JSON Schema: "."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit.

    Args:
        path: of the part that does not, such as `.amounts[2]`; empty: the value itself.
        what: goes on after the part's name, such as "must be at least 1".
    """

    path: str
    what: str


def check_schema(text: str, *, whole: bool = False) -> None:
    """Check that a schema is a JSON Schema of draft 2020-12 that may be used.

    Args:
        whole: whether what it refers to must be there; without, nothing fits a part that refers to what is not.

    Raises:
        SchemaInvalid: it is none.
    """
    schema = _validator(text).schema
    entries = list(patterns.entries(schema))
    # With a part that has an id of its own, a reference is looked up from there.
    if whole and isinstance(schema, dict) and all(key != "$id" for key, _ in entries):
        _check_references(schema, [value for key, value in entries if key in _REFERENCES and isinstance(value, str)])


def find_misfit(text: str, value: object) -> Misfit | None:
    """Where and why a value does not fit a schema, without the value; None: it fits. Raises `SchemaInvalid`."""
    validator = _validator(text)
    _count.left = MOST_STEPS
    try:
        error = best_match(validator.iter_errors(value))
    except _TooManySteps:
        return Misfit("", "takes more steps to be checked against its schema than may be")
    except Unresolvable:
        return Misfit("", "has a schema that refers to a part which it does not have")
    except RecursionError:
        return Misfit("", "is nested too deeply")
    except ArithmeticError:
        return Misfit("", "has a number that is too large to be checked")
    if error is None:
        return None
    path = "".join(f"[{each}]" if isinstance(each, int) else f".{str(each)[:_SHOWN]}" for each in error.absolute_path)
    return Misfit(path[:_SHOWN], _wanted(error))


# --- schemas ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2_048)
def _validator(text: str) -> Draft202012Validator:
    """The validator of a schema. Raises `SchemaInvalid`."""
    try:
        return _read(text)
    except (SchemaError, ValueError, RecursionError) as error:
        why = error.message if isinstance(error, SchemaError) else str(error)
        raise SchemaInvalid(why[:300]) from None


def _read(text: str) -> Draft202012Validator:
    if len(text) > LONGEST_SCHEMA:
        raise ValueError(f"it has more than {LONGEST_SCHEMA:,} characters")
    schema = json.loads(text)
    if not isinstance(schema, dict | bool):
        raise ValueError("it is neither an object nor true nor false")
    Draft202012Validator.check_schema(schema)
    for key, value in patterns.entries(schema):
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            raise ValueError(f"it refers to {value[:_SHOWN]!r}; nothing is fetched, so write that part into it")
    patterns.check_patterns(schema)
    validator: Draft202012Validator = _BOUNDED(schema, registry=Registry())
    return validator


def _check_references(schema: Mapping[str, Any], references: Iterable[str]) -> None:
    resource = DRAFT202012.create_resource(schema)
    registry: Registry[Any] = Registry().with_resource("", resource)
    for reference in references:
        try:
            registry.resolver().lookup(reference)
        except Unresolvable:
            raise SchemaInvalid(f"it refers to {reference[:_SHOWN]!r}, a part that it does not have") from None


_REFERENCES: Final = ("$ref", "$dynamicRef")


# --- steps ------------------------------------------------------------------------------------------------------------


class _TooManySteps(Exception):
    """A value takes more steps to be checked than may be."""


class _Count(threading.local):
    """How many steps the check that goes on in this thread may still take."""

    left: int = MOST_STEPS


_count: Final = _Count()


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def apply(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        _spend(1)
        return keyword(validator, wanted, instance, schema)

    return apply


def _spend(steps: int) -> None:
    _count.left -= steps
    if _count.left < 0:
        raise _TooManySteps


def _unique_items(_: Any, wanted: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    """Like the keyword, and in one pass: numbers and texts of equal value are one item, `true` and 1 are two."""
    if wanted and isinstance(instance, list):
        _spend(len(instance))
        if len({_canonical(item) for item in instance}) < len(instance):
            yield ValidationError("an item twice")


def _canonical(value: Any) -> Any:
    """Something hashable that is the same for JSON values that are equal."""
    if isinstance(value, dict):
        return ("object", frozenset((key, _canonical(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_canonical(item) for item in value))
    return ("boolean", value) if isinstance(value, bool) else ("plain", value)


_KEYWORDS: Final[Mapping[str, Any]] = {
    **Draft202012Validator.VALIDATORS,
    **patterns.KEYWORDS,
    "uniqueItems": _unique_items,
}
_BOUNDED: Final[Any] = extend(  # type: ignore[no-untyped-call]  # as it is
    Draft202012Validator, {name: _counted(keyword) for name, keyword in _KEYWORDS.items()}
)


# --- sentences --------------------------------------------------------------------------------------------------------


def _wanted(error: ValidationError) -> str:
    keyword, wanted = str(error.validator), cast(Any, error.validator_value)
    if keyword == "required":
        missing = _names(name for name in wanted if name not in _keys(error.instance))
        return f"lacks {missing}"
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        known = _keys(error.schema.get("properties", {})) if isinstance(error.schema, dict) else ()
        return f"has {_names(key for key in _keys(error.instance) if key not in known)}, which it may not have"
    if keyword == "pattern_length":
        return f"has more than {patterns.LONGEST_MATCHED:,} characters, too many to be matched with a pattern"
    words = _WORDS.get(keyword)
    return words(_short(wanted)) if words is not None else f"does not satisfy `{keyword}` of its schema"


_WORDS: Final[Mapping[str, Callable[[str], str]]] = {
    "type": lambda wanted: f"must be of type {wanted}",
    "enum": lambda wanted: f"must be one of {wanted}",
    "const": lambda wanted: f"must be {wanted}",
    "minimum": lambda wanted: f"must be at least {wanted}",
    "maximum": lambda wanted: f"must be at most {wanted}",
    "exclusiveMinimum": lambda wanted: f"must be greater than {wanted}",
    "exclusiveMaximum": lambda wanted: f"must be less than {wanted}",
    "multipleOf": lambda wanted: f"must be a multiple of {wanted}",
    "minLength": lambda wanted: f"must have at least {wanted} characters",
    "maxLength": lambda wanted: f"must have at most {wanted} characters",
    "pattern": lambda wanted: f"must match {wanted}",
    "minItems": lambda wanted: f"must have at least {wanted} items",
    "maxItems": lambda wanted: f"must have at most {wanted} items",
    "uniqueItems": lambda _: "must not have an item twice",
    "minProperties": lambda wanted: f"must have at least {wanted} entries",
    "maxProperties": lambda wanted: f"must have at most {wanted} entries",
}


def _keys(value: object) -> Collection[str]:
    return value.keys() if isinstance(value, dict) else ()


def _names(names: Iterable[str]) -> str:
    found = [f"'{name[:_SHOWN]}'" for name in names]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _short(wanted: object) -> str:
    text = json.dumps(wanted, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

"""The params of a DAG: their JSON Schemas, their defaults, and whether a run's conf fits them.

A sentence about a value that does not fit names where it is and what is wanted, never the value: it may be a secret.
Nothing is fetched: a schema refers to its own parts only.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import DagPlan, ParamPlan
from crosswind_server.manifests import patterns

_LONGEST_SCHEMA: Final = 64 * 1024
_SHOWN: Final = 100
_JSON: Final = "json/utf-8"


class ParamInvalid(ValueError):
    """A schema, or a default, is not valid; the message says why and goes on after the name of the param."""


def check_param(param: ParamPlan) -> None:
    """Check the schema of a param, and that its default fits. Raises `ParamInvalid`."""
    if not param.json_schema:
        return
    try:
        validator = _validator(param.json_schema)
    except (SchemaError, ValueError, RecursionError) as error:
        why = error.message if isinstance(error, SchemaError) else str(error)
        raise ParamInvalid(f"has a schema that is no JSON Schema of draft 2020-12: {why[:300]}; mend it") from None
    if param.default is not None and (default := _decode(param.default)) is not _UNKNOWN:
        why = _misfit(validator, default)
        if why:
            raise ParamInvalid(f"has a default that does not fit its schema: {why}; mend one of them")


def check_conf(plan: DagPlan, conf: Mapping[str, object]) -> None:
    """Check the conf of a run against the DAG's params; keys that are no params are let through.

    Raises:
        Refused: CONF_INVALID, which names the param.
    """
    for param in plan.params:
        if param.name not in conf:
            if param.default is None:
                raise _refused(plan, param, f"needs the parameter '{param.name}'; give it in `conf`")
            continue
        if param.json_schema:
            why = _misfit(_validator(param.json_schema), conf[param.name])
            if why:
                raise _refused(plan, param, f"cannot have this `conf`: the parameter '{param.name}' {why}; mend it")


def _refused(plan: DagPlan, param: ParamPlan, what: str) -> Refused:
    return Refused(
        Reason.CONF_INVALID,
        f"A run of DAG '{plan.dag_id}' {what}.",
        metadata={"field": "conf", "param": param.name[:250], "dag_id": plan.dag_id},
    )


# --- schemas ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2_048)
def _validator(text: str) -> Draft202012Validator:
    """The validator of a schema. Raises `ValueError` or `SchemaError`."""
    if len(text) > _LONGEST_SCHEMA:
        raise ValueError(f"it has more than {_LONGEST_SCHEMA:,} characters")
    schema = json.loads(text)
    if not isinstance(schema, dict | bool):
        raise ValueError("it is neither an object nor true nor false")
    _BARE.check_schema(schema)
    for key, value in patterns.entries(schema):
        if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
            raise ValueError(f"it refers to {value[:_SHOWN]!r}; nothing is fetched, so write that part into it")
    patterns.check_patterns(schema)
    validator: Draft202012Validator = _MATCHING(schema, registry=Registry())
    return validator


_BARE: Final = Draft202012Validator
_MATCHING: Final[Any] = extend(Draft202012Validator, patterns.KEYWORDS)  # type: ignore[no-untyped-call]  # as it is


# --- values -----------------------------------------------------------------------------------------------------------

_UNKNOWN: Final = object()


def _decode(value: StoredValue) -> object:
    """The value of a default; `_UNKNOWN` where its encoding is not JSON."""
    if value.encoding != _JSON:
        return _UNKNOWN
    try:
        return json.loads(value.data) if value.data is not None else [json.loads(item) for item in value.items or ()]
    except ValueError:
        raise ParamInvalid("has a default that is not JSON; mend it") from None


def _misfit(validator: Draft202012Validator, value: object) -> str:
    """Where and why a value does not fit a schema, without the value; empty where it fits."""
    try:
        error = best_match(validator.iter_errors(value))
    except Unresolvable:
        return "has a schema that refers to a part which it does not have"
    except RecursionError:
        return "is nested too deeply"
    if error is None:
        return ""
    path = "".join(f"[{each}]" if isinstance(each, int) else f".{str(each)[:_SHOWN]}" for each in error.absolute_path)
    where = f"at `{path.lstrip('.')[:_SHOWN]}` " if path else ""
    return f"{where}{_wanted(error)}"


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

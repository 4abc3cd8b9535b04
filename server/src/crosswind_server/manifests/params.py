"""The params of a DAG: their JSON Schemas, their defaults, and whether a run's conf fits them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from crosswind_server.domain.arguments import StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.plan import DagPlan, ParamPlan
from crosswind_server.manifests.schemas import SchemaInvalid, check_schema, find_misfit

_JSON: Final = "json/utf-8"


class ParamInvalid(ValueError):
    """A schema, or a default, is not valid; the message says why and goes on after the name of the param."""


def check_param(param: ParamPlan) -> None:
    """Check the schema of a param, and that its default fits. Raises `ParamInvalid`."""
    if not param.json_schema:
        return
    try:
        check_schema(param.json_schema)
    except SchemaInvalid as error:
        raise ParamInvalid(f"has a schema that is no JSON Schema of draft 2020-12: {error}; mend it") from None
    if param.default is not None and (default := _decode(param.default)) is not _UNKNOWN:
        why = _misfit(param.json_schema, default)
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
            why = _misfit(param.json_schema, conf[param.name])
            if why:
                raise _refused(plan, param, f"cannot have this `conf`: the parameter '{param.name}' {why}; mend it")


def _refused(plan: DagPlan, param: ParamPlan, what: str) -> Refused:
    return Refused(
        Reason.CONF_INVALID,
        f"A run of DAG '{plan.dag_id}' {what}.",
        metadata={"field": "conf", "param": param.name[:250], "dag_id": plan.dag_id},
    )


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


def _misfit(schema: str, value: object) -> str:
    """Where and why a value does not fit a schema, without the value; empty where it fits."""
    found = find_misfit(schema, value)
    if found is None:
        return ""
    return f"at `{found.path.lstrip('.')}` {found.what}" if found.path else found.what

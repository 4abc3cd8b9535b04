"""Params: what schemas may say, and what a run's conf is refused for, without ever showing a value."""

import json
from typing import Any

import pytest

from crosswind.manifest.v1 import dag_pb2, schedule_pb2, task_pb2
from crosswind.value.v1.value_pb2 import Item, Items, Payload
from crosswind_server import manifests
from crosswind_server.domain.errors import Refused
from crosswind_server.domain.plan import DagPlan
from crosswind_server.manifests import patterns


def payload(value: Any) -> Payload:
    if isinstance(value, list):
        items = [Item(data=json.dumps(each).encode()) for each in value]
        return Payload(encoding="json/utf-8", items=Items(items=items))
    return Payload(encoding="json/utf-8", data=json.dumps(value).encode())


def plan(schema: Any, *, default: Any = ..., **fields: Any) -> DagPlan:
    """The plan of a DAG with one param, `x`."""
    param = dag_pb2.Param(name="x", json_schema=schema if isinstance(schema, str) else json.dumps(schema))
    if default is not ...:
        param.default_value.CopyFrom(payload(default))
    task = task_pb2.Task(task_id="a", entry_point="m:a")
    dag = dag_pb2.Dag(dag_id="d", tasks=[task], params=[param], **fields)
    return manifests.read_dag(dag.SerializeToString(), dag_version_id="v")


FITS = [
    ({"type": "integer"}, 5),
    ({"type": ["string", "null"]}, None),
    ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    ({"$ref": "#/$defs/name", "$defs": {"name": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"}}}, "abc-12"),
    (True, {"any": "thing"}),
    ("", object),
]


@pytest.mark.parametrize(("schema", "value"), FITS)
def test_what_fits_is_let_through(schema: Any, value: Any):
    manifests.check_conf(plan(schema), {"x": value, "no param": 1})


SECRET = "the secret value"
MISFITS = [
    ({"type": "integer"}, SECRET, "the parameter 'x' must be of type \"integer\""),
    ({"enum": ["a", "b"]}, SECRET, 'the parameter \'x\' must be one of ["a", "b"]'),
    ({"const": 1}, SECRET, "must be 1"),
    ({"minimum": 3}, 2, "must be at least 3"),
    ({"maxLength": 3}, SECRET, "must have at most 3 characters"),
    ({"pattern": "^[a-z]+$"}, SECRET, 'must match "^[a-z]+$"'),
    ({"pattern": "a"}, SECRET * 1000, "more than 1,000 characters"),
    ({"required": ["user", "host"]}, {"host": SECRET}, "lacks 'user'"),
    ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [None, SECRET]}, 'at `a[1]` must be of type "null"'),
    ({"additionalProperties": False, "properties": {"a": {}}}, {"b": SECRET}, "has 'b', which it may not have"),
    ({"not": {"type": "string"}}, SECRET, "does not satisfy `not`"),
    ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, SECRET, "does not satisfy `oneOf`"),
    (False, SECRET, "does not satisfy"),
    ({"$ref": "#/$defs/gone"}, SECRET, "refers to a part which it does not have"),
]


@pytest.mark.parametrize(("schema", "value", "says"), MISFITS)
def test_what_does_not_fit_is_refused_with_where_and_what_is_wanted(schema: Any, value: Any, says: str):
    with pytest.raises(Refused) as refused:
        manifests.check_conf(plan(schema), {"x": value})
    assert refused.value.reason == "CONF_INVALID"
    assert (refused.value.metadata["param"], refused.value.metadata["field"]) == ("x", "conf")
    assert says in refused.value.message
    assert SECRET not in refused.value.message


def test_a_param_without_default_must_be_given():
    with pytest.raises(Refused, match="needs the parameter 'x'"):
        manifests.check_conf(plan({"type": "integer"}), {})
    manifests.check_conf(plan({"type": "integer"}, default=3), {})


INVALID = [
    ({"type": "number of things"}, "is not valid under any of the given schemas"),
    ("{", "no JSON Schema"),
    ("[]", "neither an object nor true nor false"),
    ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
    ({"items": {"$dynamicRef": "other.json"}}, "nothing is fetched"),
    ({"pattern": "("}, "is not a 'regex'"),
    ({"pattern": "^(?=a)"}, "without looking around or back"),
    ({"patternProperties": {r"(a|b)\1": {}}}, "without looking around or back"),
    ({"pattern": "((a{100}){10}){10}"}, "without looking around or back, and without large repetitions"),
    ({"items": {"pattern": "([a-z]{1,50}){1,20}[0-9]{1,999}"}}, "is too large; let it repeat less"),
    ({"anyOf": [{"pattern": "a"}] * 101}, "more than 100 patterns"),
    ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "use `additionalProperties`"),
    ({"description": "d" * 70_000}, "more than 65,536 characters"),
]


@pytest.mark.parametrize(("schema", "says"), INVALID)
def test_a_schema_that_is_none_refuses_the_dag(schema: Any, says: str):
    with pytest.raises(Refused) as refused:
        plan(schema)
    assert refused.value.reason == "DAG_INVALID"
    assert "the parameter 'x'" in refused.value.message
    assert says in refused.value.message


def test_a_default_fits_its_schema():
    plan({"type": "array", "items": {"type": "integer"}}, default=[1, 2])
    with pytest.raises(Refused, match="has a default that does not fit its schema: at `\\[1\\]` must be of type"):
        plan({"type": "array", "items": {"type": "integer"}}, default=[1, "b"])


def test_a_dag_that_runs_by_itself_has_a_default_for_every_param():
    schedule = schedule_pb2.Schedule(once={})
    with pytest.raises(Refused, match="has a schedule and the parameter 'x' without a default"):
        plan("", schedule=schedule)
    plan("", default=1, schedule=schedule)


def test_a_schema_that_refers_to_itself_for_ever_ends():
    with pytest.raises(Refused, match="nested too deeply"):
        manifests.check_conf(plan({"$ref": "#"}), {"x": 1})


HOSTILE = ["(a+)+$", "^(a|a)*$", "a*" * 20 + "b$", "^(a?){19}a{19}$", "(a{0,20}){0,20}b$", r"^(\w+\s?)*$"]
"""Patterns for which going back and forth takes years."""


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_pattern_takes_a_bounded_number_of_steps(pattern: str):
    """So many instructions a byte are all that RE2 ever takes, and a text has so many bytes at most."""
    text = "a" * 999 + "!"
    assert patterns.compile_pattern(pattern).programsize <= patterns.LARGEST_PROGRAM
    with pytest.raises(Refused, match="must match"):
        manifests.check_conf(plan({"pattern": pattern}), {"x": text})
    by_name = {"patternProperties": {pattern: {"type": "string"}}, "additionalProperties": {"type": "integer"}}
    with pytest.raises(Refused, match='must be of type "integer"'):
        manifests.check_conf(plan(by_name), {"x": {text: "no match"}})
    with pytest.raises(Refused, match="too many to be matched with a pattern"):
        manifests.check_conf(plan({"patternProperties": {pattern: {}}}), {"x": {"a" * 1_001: 1}})

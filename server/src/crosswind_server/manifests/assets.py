"""From `manifest.v1` messages about assets to plans, and the checks of what events carry."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from crosswind.manifest.v1 import dag_pb2, schedule_pb2
from crosswind.value.v1.value_pb2 import Payload
from crosswind_server.domain.assets import AllAssets, AnyAsset, AssetRef, Condition, OneAsset, assets_of
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.manifests.refusals import Refusals
from crosswind_server.manifests.values import value_of

MAX_NAME: Final = 500
MAX_URI: Final = 2_000
MAX_ASSETS: Final = 400
"""Of one condition, or of one task as inlets or as outlets; so many events a run can take at once."""
_DEEPEST: Final = 20


def read_condition(reader: Refusals, dag: dag_pb2.Dag) -> Condition | None:
    """The condition over assets on which a DAG runs; None: it has none. Raises `Refused`: DAG_INVALID."""
    if dag.schedule.WhichOneof("kind") != "assets":
        return None
    condition = _read(reader, dag.schedule.assets.condition, 0)
    if len(set(assets_of(condition))) > MAX_ASSETS:
        reader.invalid(f"is scheduled on more than {MAX_ASSETS} assets; let a task of its own collect some of them")
    return condition


def read_references(
    reader: Refusals, references: Iterable[schedule_pb2.AssetReference], what: str
) -> tuple[AssetRef, ...]:
    """The assets that a task names, each once. Raises `Refused`: DAG_INVALID."""
    found = {each.name: _reference(reader, each, what) for each in references}
    if len(found) > MAX_ASSETS:
        reader.invalid(f"names more than {MAX_ASSETS} assets as {what}; name fewer")
    return tuple(found.values())


def check_reference(reference: schedule_pb2.AssetReference, field: str) -> AssetRef:
    """An asset that a call names. Raises `Refused`: INVALID_ARGUMENT."""
    if not 1 <= len(reference.name) <= MAX_NAME or len(reference.uri) > MAX_URI:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            f"An asset has a name of 1 to {MAX_NAME} characters and a URI of at most {MAX_URI:,}; `{field}` has not.",
            metadata={"field": field},
        )
    return AssetRef(reference.name, reference.uri, reference.alias)


def check_extra(extra: Payload, field: str) -> bytes:
    """What comes with an event, serialized. Raises `Refused`: INVALID_ARGUMENT, VALUE_TOO_LARGE."""
    value = value_of(extra, what="What comes with an event of an asset")
    try:
        if value.encoding != "json/utf-8" or value.data is None or not isinstance(json.loads(value.data), dict):
            raise ValueError
    except ValueError:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "What comes with an event of an asset is a JSON object, encoded as 'json/utf-8', such as {\"rows\": 1}.",
            metadata={"field": field},
        ) from None
    return extra.SerializeToString(deterministic=True)


def check_partition(partition_key: str, field: str) -> str:
    """The partition of an event. Raises `Refused`: INVALID_ARGUMENT."""
    if len(partition_key) > 250:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "The partition of an asset has at most 250 characters; choose a shorter one.",
            metadata={"field": field},
        )
    return partition_key


def _read(reader: Refusals, condition: schedule_pb2.AssetCondition, depth: int) -> Condition:
    if depth > _DEEPEST:
        reader.invalid(f"nests conditions over assets deeper than {_DEEPEST}; flatten them")
    match condition.WhichOneof("kind"):
        case "asset":
            return OneAsset(_reference(reader, condition.asset, "schedule"))
        case "all":
            return AllAssets(_read_several(reader, condition.all, depth))
        case "any":
            return AnyAsset(_read_several(reader, condition.any, depth))
        case _:
            reader.invalid("is scheduled on assets without saying on which; give a condition")


def _read_several(reader: Refusals, several: schedule_pb2.AssetConditions, depth: int) -> tuple[Condition, ...]:
    if not several.conditions:
        reader.invalid("is scheduled on a condition over assets that is empty; name at least one asset")
    return tuple(_read(reader, each, depth + 1) for each in several.conditions)


def _reference(reader: Refusals, reference: schedule_pb2.AssetReference, what: str) -> AssetRef:
    if not 1 <= len(reference.name) <= MAX_NAME or len(reference.uri) > MAX_URI:
        reader.invalid(
            f"names an asset as {what} that has no name of 1 to {MAX_NAME} characters, or a URI of more than"
            f" {MAX_URI:,}; mend it"
        )
    return AssetRef(reference.name, reference.uri, reference.alias)

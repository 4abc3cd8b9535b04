"""Assets as DAGs name them, and the conditions over them on which DAGs run.

Here belong what a condition means and what names one has. Which events a DAG has seen is stored elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AssetRef:
    """An asset by its name, or an alias that tasks resolve when they emit.

    Args:
        name: unique in a team, aliases included; 1 to 500 characters.
        uri: where the data is; empty: the name says it.
    """

    name: str
    uri: str = ""
    alias: bool = False


@dataclass(frozen=True, slots=True)
class OneAsset:
    """An event of one asset, or through one alias."""

    asset: AssetRef


@dataclass(frozen=True, slots=True)
class AllAssets:
    """All of several conditions."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyAsset:
    """Any of several conditions."""

    conditions: tuple[Condition, ...]


Condition = OneAsset | AllAssets | AnyAsset


def is_met(condition: Condition, seen: Collection[str]) -> bool:
    """Whether a condition is met by events of the assets and aliases of these names."""
    match condition:
        case OneAsset(asset):
            return asset.name in seen
        case AllAssets(conditions):
            return all(is_met(each, seen) for each in conditions)
        case AnyAsset(conditions):
            return any(is_met(each, seen) for each in conditions)


def assets_of(condition: Condition) -> Iterator[AssetRef]:
    """The assets and aliases that a condition names, in its order; one may come twice."""
    match condition:
        case OneAsset(asset):
            yield asset
        case AllAssets(conditions) | AnyAsset(conditions):
            for each in conditions:
                yield from assets_of(each)

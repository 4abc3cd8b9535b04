"""From `manifest.v1.Mapping` and `Output` messages to plans: what tasks and groups are mapped over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from crosswind.manifest.v1 import task_pb2
from crosswind_server.domain.arguments import RETURN_VALUE, Combination, MappedInputPlan, MappingPlan, OutputPlan
from crosswind_server.manifests.refusals import Refusals

_M = task_pb2.Mapping
_COMBINATIONS: Final = {
    _M.COMBINATION_UNSPECIFIED: Combination.CROSS,
    _M.COMBINATION_CROSS: Combination.CROSS,
    _M.COMBINATION_ZIP: Combination.ZIP,
    _M.COMBINATION_KEYWORDS: Combination.KEYWORDS,
}


def read_mapping(dag: Refusals, mapping: task_pb2.Mapping, name: str) -> MappingPlan:
    """How something is mapped.

    Args:
        dag: refuses.
        name: of the task or group, for the sentence.
    """
    combination = _COMBINATIONS.get(mapping.combination)
    if combination is None:
        dag.invalid(f"maps {name} by an unknown combination; build it with an SDK of this version")
    if not mapping.inputs:
        dag.invalid(f"maps {name} over nothing; name at least one mapped argument")
    if combination is Combination.KEYWORDS and len(mapping.inputs) != 1:
        dag.invalid(f"maps {name} over several lists of keywords; give it one")
    inputs = []
    for each in mapping.inputs:
        position = each.position if each.HasField("position") else None
        if each.WhichOneof("source") == "output":
            if each.output.path:
                dag.unsupported(f"maps {name} over a part of an output", "let a task return that part")
            inputs.append(MappedInputPlan(name=each.name, position=position, output=read_output(each.output)))
            continue
        literal = dag.value(each.literal, f"the list that {name} is mapped over")
        if literal.items is None:
            dag.invalid(f"maps {name} over a value that is not sent as items; send the list as items")
        inputs.append(MappedInputPlan(name=each.name, position=position, literal=literal))
    return MappingPlan(combination, tuple(inputs))


def outputs_of_mapping(mapping: task_pb2.Mapping) -> Iterator[task_pb2.Output]:
    """The outputs over which something is mapped."""
    for mapped in mapping.inputs:
        if mapped.WhichOneof("source") == "output":
            yield mapped.output


def read_output(output: task_pb2.Output) -> OutputPlan:
    """What an upstream task wrote."""
    return OutputPlan(output.task_id, output.key or RETURN_VALUE, read_path(output.path))


def read_path(steps: Iterable[task_pb2.Output.PathStep]) -> tuple[bytes, ...]:
    """Steps into a value, which the SDK applies."""
    return tuple(step.SerializeToString() for step in steps)

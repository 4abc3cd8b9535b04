"""From `manifest.v1.TaskGroup` messages to the groups around tasks, and those among them that are mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crosswind.manifest.v1 import dag_pb2, task_pb2
from crosswind_server.domain.arguments import MappingPlan
from crosswind_server.domain.plan import GroupPlan, TaskPlan
from crosswind_server.manifests.mappings import outputs_of_mapping, read_mapping
from crosswind_server.manifests.refusals import Refusals


class GroupReader:
    """Reads the task groups of one DAG, and checks what stands in them.

    Args:
        dag: refuses.
        groups: parents before their children.
        tasks: of the DAG.
    """

    def __init__(self, dag: Refusals, groups: Sequence[dag_pb2.TaskGroup], tasks: Sequence[task_pb2.Task]) -> None:
        self._dag = dag
        self._parents: dict[str, str] = {}
        self._mappings: dict[str, MappingPlan] = {}
        self._sources: dict[str, tuple[str, ...]] = {}
        for group in groups:
            self._read_group(group)
        for task in tasks:
            self._check_task(task)

    def _read_group(self, group: dag_pb2.TaskGroup) -> None:
        name = f"the task group '{group.group_id}'"
        if group.parent_group_id and group.parent_group_id not in self._parents:
            self._dag.invalid(f"has {name} before its parent '{group.parent_group_id}'")
        if group.group_id in self._parents:
            self._dag.invalid(f"has two task groups with the id '{group.group_id}'; rename one of them")
        outer = self.mapped_around(group.parent_group_id)
        self._parents[group.group_id] = group.parent_group_id
        if not group.HasField("mapping"):
            return
        if outer is not None:
            self._dag.invalid(f"maps {name} inside the mapped group '{outer}'; map one of the two")
        mapping = read_mapping(self._dag, group.mapping, name)
        names = [each.name for each in mapping.inputs]
        if not all(names) or len(set(names)) < len(names):
            self._dag.invalid(f"maps {name} over inputs of which two have one name, or one has none; name each")
        self._mappings[group.group_id] = mapping
        self._sources[group.group_id] = tuple(dict.fromkeys(each.task_id for each in outputs_of_mapping(group.mapping)))

    def _check_task(self, task: task_pb2.Task) -> None:
        if task.group_id and task.group_id not in self._parents:
            self._dag.invalid(f"has no task group '{task.group_id}' for task '{task.task_id}'; add it")
        mapped = self.mapped_around(task.group_id)
        if mapped is not None and task.HasField("mapping"):
            self._dag.invalid(f"maps the task '{task.task_id}' inside the mapped group '{mapped}'; map one of the two")
        if mapped is not None and task.task_id in self._sources[mapped]:
            self._dag.invalid(
                f"maps the task group '{mapped}' over the output of '{task.task_id}', which is inside it; move that "
                "task out of the group"
            )
        for each in task.inputs:
            if each.WhichOneof("source") != "group_item":
                continue
            if mapped is None:
                self._dag.invalid(
                    f"gives task '{task.task_id}' an item of a mapped group, and none is around it; put it into one"
                )
            known = [one.name for one in self._mappings[mapped].inputs]
            if each.group_item not in known:
                self._dag.invalid(
                    f"gives task '{task.task_id}' the item '{each.group_item[:80]}', over which the group '{mapped}' "
                    f"is not mapped; name one of: {', '.join(known)}"
                )

    def around(self, group_id: str) -> Iterator[str]:
        """The group and those around it, the innermost first."""
        while group_id:
            yield group_id
            group_id = self._parents[group_id]

    def mapped_around(self, group_id: str) -> str | None:
        """The mapped group that is or is around a group."""
        return next((each for each in self.around(group_id) if each in self._mappings), None)

    def mapping_around(self, group_id: str) -> MappingPlan | None:
        """How that one is mapped."""
        mapped = self.mapped_around(group_id)
        return None if mapped is None else self._mappings[mapped]

    def sources_around(self, group_id: str) -> tuple[str, ...]:
        """The tasks over whose outputs the mapped group around is mapped: they come before all that is inside."""
        mapped = self.mapped_around(group_id)
        return () if mapped is None else self._sources[mapped]

    def plans(self, tasks: Sequence[TaskPlan]) -> Mapping[str, GroupPlan]:
        """The mapped groups, once the tasks are read."""
        index = {task.task_id: task.index for task in tasks}
        plans = {}
        for group_id, mapping in self._mappings.items():
            members = [task for task in tasks if task.mapped_group == group_id]
            plans[group_id] = GroupPlan(
                group_id=group_id,
                mapping=mapping,
                sources=frozenset(index[task_id] for task_id in self._sources[group_id]),
                members=tuple(task.index for task in sorted(members, key=lambda task: (-task.depth, task.index))),
            )
        return plans

"""What a task needs to begin: its arguments resolved, its run, and the variables and connections that it declares.

Here belongs reading values for a start, in as few statements as there are kinds of values, whatever the number of
tasks. Values beyond the room of one message are named instead, and the task reads them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from crosswind_server.domain.arguments import Combination, InputPlan, MappedInputPlan, OutputPlan, StoredValue
from crosswind_server.domain.naming import render_name
from crosswind_server.domain.plan import AccessPlan, DagPlan, ParamPlan, TaskPlan
from crosswind_server.domain.states import Workload
from crosswind_server.services.flow.expansion import lengths_of
from crosswind_server.services.flow.rows import AttemptRecord, Instance, Run
from crosswind_server.store import task_instances, xcoms
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredVariable:
    """A variable, opened."""

    key: str
    value: str
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredConnection:
    """A connection, opened."""

    connection_id: str
    conn_type: str
    host: str
    port: int | None
    schema: str
    login: str
    password: str
    extra_json: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRequest:
    """What a task declared that it reads; `access` says what of it its DAG grants."""

    team: str
    access: AccessPlan
    variables: tuple[str, ...]
    connections: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What exists of it and is granted."""

    variables: tuple[DeclaredVariable, ...] = ()
    connections: tuple[DeclaredConnection, ...] = ()


class DeclaredReader(Protocol):
    """Opens declared variables and connections within a transaction."""

    def read(self, uow: UnitOfWork, requests: Sequence[DeclaredRequest]) -> Sequence[Declared]:
        """One answer a request, in their order."""
        ...


class NothingDeclared:
    """Stands in where nothing is stored that a task could declare."""

    def read(self, uow: UnitOfWork, requests: Sequence[DeclaredRequest]) -> Sequence[Declared]:
        """Empty answers."""
        return [Declared() for _ in requests]


@dataclass(frozen=True, slots=True)
class XComName:
    """Names a value that the task is to read itself; without map index: of all instances of a mapped task."""

    task_id: str
    key: str
    map_index: int | None = None


@dataclass(frozen=True, slots=True)
class ValueList:
    """What the instances of a mapped task wrote, in order; None for one that wrote nothing."""

    values: tuple[StoredValue | None, ...]


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """A structure whose parts are values."""

    template_json: str
    parts: tuple[ResolvedInput, ...]


Resolved = StoredValue | ValueList | XComName | CompositeValue | ParamPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedInput:
    """An argument and its value. A `ParamPlan` stands for the run's parameter of that name, or its default."""

    name: str = ""
    position: int | None = None
    path: tuple[bytes, ...] = ()
    value: Resolved = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """All that a task needs. Times are microseconds since the epoch, spans microseconds."""

    run: Run
    run_facts: Any
    plan: DagPlan
    task: TaskPlan
    record: AttemptRecord
    workload: Workload
    workload_message: bytes | None
    map_index: int
    max_tries: int
    inputs: tuple[ResolvedInput, ...]
    declared: Declared
    previous_failure: bytes | None
    resumption: bytes | None
    start_time: int
    first_start_time: int
    map_index_name: str = ""


@dataclass(slots=True)
class _Room:
    """Bytes of values that still ride along with one start."""

    left: int = LIMITS.max_context_value_bytes

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True


Start = tuple[Run, DagPlan, TaskPlan, Instance]


def single_index(start: Start, output: OutputPlan) -> int | None:
    """The map index of the instance whose output a task reads; None: it reads those of all, as a list.

    In a mapped group that is the instance with its own index.
    """
    _, plan, task, instance = start
    upstream = plan.by_id[output.task_id]
    if upstream.mapping is None:
        return -1
    return instance.map_index if task.mapped_group is not None and upstream.mapped_group == task.mapped_group else None


@dataclass(slots=True)
class Needs:
    """The outputs that the tasks of one transaction need, and then their values."""

    uow: UnitOfWork
    singles: dict[tuple[str, str, str, int], Any] = field(default_factory=dict)
    lists: dict[tuple[str, str, str], list[Any]] = field(default_factory=dict)
    totals: dict[tuple[str, int], int] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict)
    items: dict[str, list[bytes]] = field(default_factory=dict)

    def find(self, wanted: Sequence[tuple[Start, OutputPlan]]) -> None:
        """Find the wanted outputs without their bytes, in one statement for each of the two kinds."""
        singles, lists, keys = set(), set(), set()
        for start, output in wanted:
            run, plan, _, _ = start
            map_index = single_index(start, output)
            if map_index is not None:
                singles.add((run.id, output.task_id, output.key, map_index))
            else:
                lists.add((run.id, output.task_id, output.key))
                keys.add((run.id, plan.by_id[output.task_id].index))
        for row in xcoms.find(self.uow, singles):
            self.singles[row.run_key, row.task_id, row.key, row.map_index] = row
        for row in xcoms.find_mapped(self.uow, lists):
            self.lists.setdefault((row.run_key, row.task_id, row.key), []).append(row)
        self.totals = task_instances.instance_counts(self.uow, keys)

    def read(self, rows: Sequence[Any]) -> None:
        """Read the bytes of values that were found."""
        self.data |= xcoms.read_data(self.uow, [row.id for row in rows if row.item_count is None])
        self.items |= xcoms.read_items(self.uow, [row.id for row in rows if row.item_count is not None])

    def value_of(self, row: Any) -> StoredValue:
        """The value of an XCom whose bytes were read."""
        metadata = xcoms.read_metadata(row)
        if row.item_count is not None:
            return StoredValue(encoding=row.encoding, metadata=metadata, items=tuple(self.items[row.id]))
        return StoredValue(encoding=row.encoding, metadata=metadata, data=self.data[row.id])


def resolve_inputs(uow: UnitOfWork, starts: Sequence[Start]) -> list[tuple[ResolvedInput, ...]]:
    """The arguments of tasks that start, the mapped ones included."""
    needs = Needs(uow)
    outputs = [(start, output) for start in starts for each in start[2].inputs for output in each.outputs]
    if outputs:
        needs.find(outputs)
    riding: dict[str, Any] = {}
    chosen: list[Chosen] = []
    rooms = [_Room() for _ in starts]
    for room, start in zip(rooms, starts, strict=True):
        mine: Chosen = {}
        for each in start[2].inputs:
            for output in each.outputs:
                if output in mine:
                    continue
                rows = _rows_of(needs, start, output)
                fits = room.take(sum(row.size_bytes + 32 for row in rows))
                mine[output] = rows if fits else None
                riding.update((row.id, row) for row in rows if fits)
        chosen.append(mine)
    needs.read(list(riding.values()))
    resolved = []
    for start, mine, room in zip(starts, chosen, rooms, strict=True):
        task = start[2]
        items = MappedItems(uow, start, room) if task.mapping is not None else None
        both = [_resolve(needs, start, each, mine, items) for each in task.inputs]
        if items is not None and task.mapped_group is None:
            both += items.as_arguments()
        resolved.append(tuple(sorted(both, key=lambda each: (each.position is None, each.position or 0))))
    return resolved


def names_of(uow: UnitOfWork, starts: Sequence[Start]) -> list[str]:
    """What people know mapped instances by, one for each start; empty where its task has no template."""
    return [
        MappedItems(uow, start, _Room()).name(start[2].map_index_template, start[3].map_index)
        if start[2].map_index_template and start[2].mapping is not None and start[3].map_index >= 0
        else ""
        for start in starts
    ]


Chosen = dict[OutputPlan, Sequence[Any] | None]


def _rows_of(needs: Needs, start: Start, output: OutputPlan) -> Sequence[Any]:
    run_key = start[0].id
    map_index = single_index(start, output)
    if map_index is None:
        return needs.lists.get((run_key, output.task_id, output.key), [])
    row = needs.singles.get((run_key, output.task_id, output.key, map_index))
    return [] if row is None else [row]


def _resolve(needs: Needs, start: Start, each: InputPlan, mine: Chosen, items: MappedItems | None) -> ResolvedInput:
    value: Resolved
    path: tuple[bytes, ...] = ()
    if each.literal is not None:
        value = each.literal
    elif each.output is not None:
        value, path = _value(needs, start, each.output, mine), each.output.path
    elif each.composite is not None:
        parts = tuple(
            ResolvedInput(path=part.path, value=_value(needs, start, part, mine)) for part in each.composite.parts
        )
        value = CompositeValue(each.composite.template_json, parts)
    elif each.group_item is not None:
        assert items is not None
        value, path = items.named(each.group_item.input_name), each.group_item.path
    else:
        value = next(param for param in start[1].params if param.name == each.param)
    return ResolvedInput(name=each.name, position=each.position, path=path, value=value)


def _value(needs: Needs, start: Start, output: OutputPlan, mine: Chosen) -> Resolved:
    rows = mine[output]
    map_index = single_index(start, output)
    if rows is None:
        return XComName(output.task_id, output.key, map_index if map_index != -1 else None)
    if map_index is not None:
        return needs.value_of(rows[0]) if rows else None
    run, plan, _, _ = start
    written = {row.map_index: needs.value_of(row) for row in rows}
    total = needs.totals.get((run.id, plan.by_id[output.task_id].index), 0)
    return ValueList(tuple(written.get(index) for index in range(total)))


class MappedItems:
    """The items that a mapped task's instance is given, by the task's own mapping or that of the group around it."""

    def __init__(self, uow: UnitOfWork, start: Start, room: _Room) -> None:
        self._uow = uow
        self._run, self._plan, task, instance = start
        assert task.mapping is not None
        self._room = room
        self._mapping = task.mapping
        lengths = [length or 0 for length in lengths_of(uow, self._run.id, self._plan, task)]
        self._chosen = task.mapping.items_of(instance.map_index, lengths)

    def as_arguments(self) -> list[ResolvedInput]:
        """One argument each."""
        keywords = self._mapping.combination is Combination.KEYWORDS
        resolved = []
        for each, index in zip(self._mapping.inputs, self._chosen, strict=True):
            # An object of named arguments is bound by its keys: it has neither a name nor a position of its own.
            name, position = ("", None) if keywords else (each.name, each.position)
            resolved.append(ResolvedInput(name=name, position=position, value=self._item(each, index)))
        return resolved

    def named(self, name: str) -> Resolved:
        """That of one mapped input."""
        both = zip(self._mapping.inputs, self._chosen, strict=True)
        return next(self._item(each, index) for each, index in both if each.name == name)

    def name(self, template: str, map_index: int) -> str:
        """What people know the instance by."""
        items = {}
        for each, index in zip(self._mapping.inputs, self._chosen, strict=True):
            value = self._item(each, index)
            items[each.name] = (value if isinstance(value, StoredValue) else None, index)
        keywords = self._mapping.combination is Combination.KEYWORDS
        return render_name(template, map_index, items, keywords=keywords)

    def _item(self, each: MappedInputPlan, index: int) -> Resolved:
        return _item(self._uow, self._run, self._plan, each, index, self._room)


def _item(uow: UnitOfWork, run: Run, plan: DagPlan, each: MappedInputPlan, index: int, room: _Room) -> Resolved:
    if each.literal is not None:
        return each.literal.item(index)
    output = each.output
    assert output is not None
    if plan.by_id[output.task_id].mapping is not None:
        row = xcoms.find_nth(uow, run.id, output.task_id, output.key, position=index)
        if row is None:
            return None
        if not room.take(row.size_bytes):
            return XComName(output.task_id, output.key, row.map_index)
        needs = Needs(uow)
        needs.read([row])
        return needs.value_of(row)
    (row,) = xcoms.find(uow, [(run.id, output.task_id, output.key, -1)])
    (data,) = xcoms.read_range(uow, row.id, first=index, end=index + 1)
    return StoredValue(encoding=row.encoding, metadata=xcoms.read_metadata(row), data=data)

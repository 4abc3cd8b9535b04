"""XComs by name: whole, by item, in ranges, and written or deleted by the task that owns them.

Here belongs what an absent map index means, and how much fits an answer. Outcomes write XComs in `settlement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crosswind_server.domain.arguments import RETURN_VALUE, StoredValue
from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.domain.ids import uuid7
from crosswind_server.domain.plan import DagPlan
from crosswind_server.services.catalog.plans import PlanCache
from crosswind_server.services.listing.run_listing import find_run
from crosswind_server.store import task_listing, xcom_listing, xcoms
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.timing import LIMITS

ANSWER_BYTES: Final = LIMITS.max_message_bytes - 256 * 1024
"""What values may take of an answer; the rest is for names and framing."""
_ITEM_OVERHEAD: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class XComName:
    """Names an XCom. Without map index: of the only instance, or of all instances of a mapped task, as one list."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None
    key: str = RETURN_VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An XCom that was found: its row, or the number of instances where it is the list of a mapped task's."""

    run_key: str
    name: XComName
    row: Any | None
    instances: int | None

    @property
    def size(self) -> int | None:
        """The number of items of a list; None for another value."""
        return self.instances if self.row is None else self.row.item_count


def find(uow: UnitOfWork, plans: PlanCache, team: str, name: XComName) -> Found:
    """Find an XCom. Raises `Refused`: RUN_NOT_FOUND or XCOM_NOT_FOUND."""
    run = find_run(uow, team, name.dag_id, name.run_id)
    if name.map_index is None and _is_mapped(plans.get(uow, run.dag_version_id), name.task_id):
        summary = task_listing.get_instance(uow, run.id, name.task_id, -1)
        if summary is None or summary.instances_total == 0:
            raise not_found(name)
        return Found(run_key=run.id, name=name, row=None, instances=summary.instances_total)
    row = xcom_listing.get(uow, run.id, name.task_id, -1 if name.map_index is None else name.map_index, name.key)
    if row is None:
        raise not_found(name)
    return Found(run_key=run.id, name=name, row=row, instances=None)


def find_latest(uow: UnitOfWork, plans: PlanCache, team: str, name: XComName, *, own_run_key: str) -> Found:
    """Find an XCom, else that of the latest run of its DAG that stands for an earlier moment than the caller's run and
    has one. Raises `Refused`: XCOM_NOT_FOUND."""
    try:
        return find(uow, plans, team, name)
    except Refused as refused:
        earlier = xcom_listing.latest_run_with(
            uow,
            team,
            name.dag_id,
            before_run=own_run_key,
            task_id=name.task_id,
            map_index=name.map_index,
            key=name.key,
        )
        if earlier is None:
            raise not_found(name) from refused
        return find(uow, plans, team, replace(name, run_id=earlier))


def read_whole(uow: UnitOfWork, found: Found) -> StoredValue | Sequence[StoredValue | None]:
    """The value, or what each instance of a mapped task wrote; None for one that wrote nothing.

    Raises:
        Refused: MESSAGE_TOO_LARGE.
    """
    if found.row is not None:
        _check_fits(found.row.size_bytes + _ITEM_OVERHEAD * (found.row.item_count or 0))
        return _read_rows(uow, [found.row])[found.row.id]
    assert found.instances is not None
    listed = _mapped(uow, found, 0, found.instances)
    _check_fits(sum(row.size_bytes + 4 * _ITEM_OVERHEAD for row in listed))
    values = _read_rows(uow, listed)
    by_index = {row.map_index: values[row.id] for row in listed}
    return [by_index.get(index) for index in range(found.instances)]


def read_item(uow: UnitOfWork, found: Found, index: int) -> StoredValue:
    """One item as a value of its own; a negative index counts from the end. Raises `Refused`: XCOM_NOT_FOUND."""
    size = found.size
    if size is None:
        raise _no_list(found.name)
    position = index + size if index < 0 else index
    if not 0 <= position < size:
        raise not_found(found.name, item=index, size=size)
    if found.row is not None:
        data = xcoms.read_range(uow, found.row.id, first=position, end=position + 1)[0]
        return StoredValue(encoding=found.row.encoding, metadata=xcoms.read_metadata(found.row), data=bytes(data))
    listed = _mapped(uow, found, position, position + 1)
    if not listed:
        raise not_found(found.name, item=index, size=size)
    _check_fits(listed[0].size_bytes)
    return _read_rows(uow, listed)[listed[0].id]


def read_range(uow: UnitOfWork, found: Found, *, start: int, limit: int) -> Sequence[StoredValue | None]:
    """Items from `start` on, each a value of its own; fewer than `limit` where the answer would be too large.

    Raises:
        Refused: XCOM_NOT_FOUND, it is no list; INVALID_ARGUMENT.
    """
    if found.size is None:
        raise _no_list(found.name)
    if start < 0 or limit < 1:
        raise Refused(
            Reason.INVALID_ARGUMENT,
            "A range begins at 0 or later and has at least one item.",
            metadata={"field": "start" if start < 0 else "limit"},
        )
    if found.row is not None:
        encoding, metadata = found.row.encoding, xcoms.read_metadata(found.row)
        datas = _fitting_items(uow, found.row, start=start, limit=limit)
        return [StoredValue(encoding=encoding, metadata=metadata, data=data) for data in datas]
    end = min(start + limit, found.size)
    listed = {row.map_index: row for row in _mapped(uow, found, start, end)}
    taken: list[int] = []
    room = ANSWER_BYTES
    for index in range(start, end):
        room -= (listed[index].size_bytes if index in listed else 0) + 4 * _ITEM_OVERHEAD
        if room < 0 and taken:
            break
        taken.append(index)
    values = _read_rows(uow, [listed[index] for index in taken if index in listed])
    return [values[listed[index].id] if index in listed else None for index in taken]


def read_piece(uow: UnitOfWork, found: Found, *, first: int, limit: int) -> tuple[StoredValue, int | None]:
    """A value for people: whole, or of a list the items from `first` on and where to go on, None at the end.

    Raises:
        Refused: INVALID_ARGUMENT or MESSAGE_TOO_LARGE.
    """
    assert found.row is not None
    if found.row.item_count is None:
        if first > 0:
            raise Refused(
                Reason.INVALID_ARGUMENT,
                "The value is no list; leave `first_item` out.",
                metadata={"field": "first_item"},
            )
        value = read_whole(uow, found)
        assert isinstance(value, StoredValue)
        return value, None
    datas = _fitting_items(uow, found.row, start=first, limit=limit or found.row.item_count or 1)
    value = StoredValue(encoding=found.row.encoding, metadata=xcoms.read_metadata(found.row), items=tuple(datas))
    end = first + len(datas)
    return value, end if end < found.row.item_count else None


def write(uow: UnitOfWork, *, run_key: str, task_id: str, map_index: int, key: str, value: StoredValue) -> None:
    """Write an XCom over what was there. Raises `Refused`: INVALID_ARGUMENT."""
    check_key(key)
    row = xcoms.XComRow(
        id=str(uuid7(uow.now)),
        run_key=run_key,
        task_id=task_id,
        map_index=map_index,
        key=key,
        encoding=value.encoding,
        metadata=value.metadata,
        data=value.data,
        items=value.items,
    )
    xcoms.write(uow, [row])


def remove(uow: UnitOfWork, *, run_key: str, task_id: str, map_index: int, key: str) -> bool:
    """Delete an XCom; answers whether it was there."""
    return xcom_listing.delete_one(uow, run_key, task_id, map_index, key)


def list_xcoms(
    uow: UnitOfWork,
    run_key: str,
    *,
    task_id: str | None,
    map_index: int | None,
    key: str | None,
    after: tuple[str, int, str] | None,
    limit: int,
) -> Sequence[Any]:
    """List the XComs of a run without their values, by task, map index and key."""
    return xcom_listing.list_xcoms(
        uow, run_key, task_id=task_id, map_index=map_index, key=key, after=after, limit=limit
    )


def check_key(key: str) -> None:
    """Raises `Refused`: INVALID_ARGUMENT."""
    if not 1 <= len(key) <= 250:
        raise Refused(Reason.INVALID_ARGUMENT, "The key of an XCom has 1 to 250 characters.", metadata={"field": "key"})


def not_found(name: XComName, *, item: int | None = None, size: int = 0) -> Refused:
    """The refusal of an XCom, or an item of one, that is not there."""
    which = name.task_id if name.map_index is None or name.map_index < 0 else f"{name.task_id}[{name.map_index}]"
    text = f"The task '{which}' of run '{name.run_id}' has written no XCom '{name.key}'."
    if item is not None:
        text = f"The XCom '{name.key}' of task '{which}' in run '{name.run_id}' has {size} items and none at {item}."
    return Refused(
        Reason.XCOM_NOT_FOUND,
        text,
        metadata={"dag_id": name.dag_id, "run_id": name.run_id, "task_id": name.task_id, "key": name.key},
    )


def _no_list(name: XComName) -> Refused:
    refused = not_found(name)
    text = f"The XCom '{name.key}' of task '{name.task_id}' is no list, so it has no items; read it whole."
    return Refused(Reason.XCOM_NOT_FOUND, text, metadata=refused.metadata)


def _is_mapped(plan: DagPlan, task_id: str) -> bool:
    task = plan.by_id.get(task_id)
    return task is not None and task.mapping is not None


def _mapped(uow: UnitOfWork, found: Found, first: int, end: int) -> Sequence[Any]:
    return xcom_listing.list_mapped(uow, found.run_key, found.name.task_id, found.name.key, first=first, end=end)


def _read_rows(uow: UnitOfWork, found: Sequence[Any]) -> dict[str, StoredValue]:
    data = xcoms.read_data(uow, [row.id for row in found if row.item_count is None])
    items = xcoms.read_items(uow, [row.id for row in found if row.item_count is not None])
    return {
        row.id: StoredValue(
            encoding=row.encoding,
            metadata=xcoms.read_metadata(row),
            data=bytes(data[row.id]) if row.item_count is None else None,
            items=tuple(map(bytes, items[row.id])) if row.item_count is not None else None,
        )
        for row in found
    }


def _fitting_items(uow: UnitOfWork, row: Any, *, start: int, limit: int) -> Sequence[bytes]:
    """Items of a list from `start` on, as many as an answer holds, at least one where there is one."""
    room, count = ANSWER_BYTES, 0
    per_item = _ITEM_OVERHEAD + len(row.encoding) + len(row.metadata_json)
    for size in xcom_listing.item_sizes(uow, row.id, first=start, limit=min(limit, 100_000)):
        room -= size + per_item
        if room < 0 and count:
            break
        count += 1
    return [bytes(each) for each in xcoms.read_range(uow, row.id, first=start, end=start + count)]


def _check_fits(size: int) -> None:
    if size > ANSWER_BYTES:
        raise Refused(
            Reason.MESSAGE_TOO_LARGE,
            f"The value has {size} bytes and does not fit one message; read it in pieces with SliceXCom.",
            metadata={"size_bytes": str(size)},
        )

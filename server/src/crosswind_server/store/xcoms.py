"""XComs: the values that tasks wrote, whole, by item, or without their bytes.

A list is stored as rows of `xcom_item`, any other value in its own row. Who may read or write one is decided above.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import FromClause, Row, Select, and_, bindparam, delete, func, select

from crosswind_server.store import guards
from crosswind_server.store.schema import xcom, xcom_item
from crosswind_server.store.unit_of_work import UnitOfWork

_x = xcom.c
_i = xcom_item.c


@dataclass(frozen=True, slots=True, kw_only=True)
class XComRow:
    """A value to write: either `data` or `items`. `id` is new, and ignored where the XCom exists."""

    id: str
    run_key: str
    task_id: str
    map_index: int
    key: str
    encoding: str
    metadata: Mapping[str, str]
    data: bytes | None
    items: Sequence[bytes] | None


INFO: Final = (
    _x.id,
    _x.run_key,
    _x.task_id,
    _x.map_index,
    _x.key,
    _x.encoding,
    _x.metadata_json,
    _x.item_count,
    _x.size_bytes,
    _x.write_time,
)
"""An XCom without its bytes."""


def write(uow: UnitOfWork, rows: Sequence[XComRow]) -> None:
    """Write values, each over what was there. No two rows may name the same XCom."""
    if not rows:
        return
    values = [
        {
            "id": row.id,
            "run_key": row.run_key,
            "task_id": row.task_id,
            "map_index": row.map_index,
            "key": row.key,
            "encoding": row.encoding,
            "metadata_json": json.dumps(dict(row.metadata), sort_keys=True) if row.metadata else "{}",
            "data": row.data,
            "item_count": None if row.items is None else len(row.items),
            "size_bytes": len(row.data) if row.data is not None else sum(map(len, row.items or ())),
            "write_time": uow.now,
        }
        for row in rows
    ]
    taken = ["encoding", "metadata_json", "data", "item_count", "size_bytes", "write_time"]
    written = uow.dialect.upsert(
        xcom,
        values,
        ["run_key", "task_id", "map_index", "key"],
        set_columns=taken,
        returning=["id", "run_key", "task_id", "map_index", "key"],
    )
    ids = {(w.run_key, w.task_id, w.map_index, w.key): w.id for w in written}
    mine = {row.id for row in rows}
    overwritten = [xcom_id for xcom_id in ids.values() if xcom_id not in mine]
    if overwritten:
        uow.execute(delete(xcom_item).where(_i.xcom_id.in_(overwritten)))
    items = [
        {"xcom_id": ids[row.run_key, row.task_id, row.map_index, row.key], "item_index": index, "data": item}
        for row in rows
        for index, item in enumerate(row.items or ())
    ]
    uow.dialect.insert_many(xcom_item, items)


def delete_of_instance(uow: UnitOfWork, run_key: str, task_id: str, map_index: int) -> None:
    """Delete what an earlier try of a task instance wrote."""
    uow.execute(delete(xcom).where(_x.run_key == run_key, _x.task_id == task_id, _x.map_index == map_index))


def find(uow: UnitOfWork, keys: Collection[tuple[str, str, str, int]]) -> Sequence[Row[Any]]:
    """XComs by run, task, key and map index, without their bytes."""
    if not keys:
        return []
    columns = {"run_key": _x.run_key, "task_id": _x.task_id, "key": _x.key, "map_index": _x.map_index}
    source, parameters = uow.dialect.rows_source(columns, [dict(zip(columns, key, strict=True)) for key in keys])
    return uow.execute(_infos_of(source, all_indexes=False), parameters).all()


def find_mapped(uow: UnitOfWork, keys: Collection[tuple[str, str, str]]) -> Sequence[Row[Any]]:
    """XComs of all instances of mapped tasks, by run, task and key, without their bytes; in order of the indexes."""
    if not keys:
        return []
    columns = {"run_key": _x.run_key, "task_id": _x.task_id, "key": _x.key}
    source, parameters = uow.dialect.rows_source(columns, [dict(zip(columns, key, strict=True)) for key in keys])
    return uow.execute(_infos_of(source, all_indexes=True), parameters).all()


@functools.lru_cache(maxsize=16)
def _infos_of(source: FromClause, *, all_indexes: bool) -> Select[Any]:
    named = and_(_x.run_key == source.c.run_key, _x.task_id == source.c.task_id, _x.key == source.c.key)
    query = select(*INFO).join(source, named)
    query = query.where(_x.map_index >= 0 if all_indexes else _x.map_index == source.c.map_index)
    return query.order_by(_x.run_key, _x.task_id, _x.map_index, _x.key)


def count_mapped(uow: UnitOfWork, run_key: str, task_id: str, key: str) -> int:
    """How many instances of a mapped task wrote the XCom."""
    named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.key == key, _x.map_index >= 0)
    count: int = uow.execute(select(func.count()).select_from(xcom).where(named)).scalar_one()
    return count


def find_nth(uow: UnitOfWork, run_key: str, task_id: str, key: str, *, position: int) -> Row[Any] | None:
    """The XCom of the instance of a mapped task that is the n-th, from 0, of those that wrote one."""
    named = and_(_x.run_key == run_key, _x.task_id == task_id, _x.key == key, _x.map_index >= 0)
    return uow.execute(select(*INFO).where(named).order_by(_x.map_index).limit(1).offset(position)).one_or_none()


_DATA = select(_x.id, _x.data).where(guards.is_among(_x.id, "ids"))
_ITEMS = select(_i.xcom_id, _i.data).where(guards.is_among(_i.xcom_id, "ids")).order_by(_i.xcom_id, _i.item_index)
_RANGE = (
    select(_i.item_index, _i.data)
    .where(_i.xcom_id == bindparam("xcom_id"), _i.item_index >= bindparam("first"), _i.item_index < bindparam("end"))
    .order_by(_i.item_index)
)


def read_data(uow: UnitOfWork, ids: Collection[str]) -> dict[str, bytes]:
    """The bytes of values that are not lists."""
    return {row.id: row.data for row in uow.execute(_DATA, {"ids": list(ids)})} if ids else {}


def read_items(uow: UnitOfWork, ids: Collection[str]) -> dict[str, list[bytes]]:
    """The items of lists, all of them."""
    found: dict[str, list[bytes]] = {xcom_id: [] for xcom_id in ids}
    if ids:
        for row in uow.execute(_ITEMS, {"ids": list(ids)}):
            found[row.xcom_id].append(row.data)
    return found


def read_range(uow: UnitOfWork, xcom_id: str, *, first: int, end: int) -> Sequence[bytes]:
    """Items `first` to `end` (not included) of a list."""
    rows = uow.execute(_RANGE, {"xcom_id": xcom_id, "first": first, "end": end})
    return [row.data for row in rows]


def read_metadata(row: Any) -> dict[str, str]:
    """The metadata of an XCom that was found."""
    metadata: dict[str, str] = {} if row.metadata_json == "{}" else json.loads(row.metadata_json)
    return metadata

"""Variables: named texts that tasks read, sealed whether they are secrets or not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from crosswind_server.domain.errors import Reason, Refused
from crosswind_server.services.access.sealing import Sealer
from crosswind_server.store import variables as rows
from crosswind_server.store.unit_of_work import UnitOfWork
from crosswind_server.store.variables import VariableRow

LARGEST_VALUE_BYTES: Final = 64 * 1024
LARGEST_DESCRIPTION_BYTES: Final = 4 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable. `value` is None where it was left out because it is a secret."""

    key: str
    value: str | None
    public: bool
    description: str
    created_us: int
    updated_us: int


def read_variables(uow: UnitOfWork, sealer: Sealer, team: str, keys: Collection[str]) -> Sequence[Variable]:
    """Those of the variables that exist, with their values, by key."""
    found = rows.get_variables(uow, team, keys)
    return sorted((_open(sealer, team, row, secrets=True) for row in found), key=lambda each: each.key)


def get_variable(uow: UnitOfWork, sealer: Sealer, team: str, key: str) -> Variable:
    """One variable with its value. Raises `Refused`: VARIABLE_NOT_FOUND."""
    found = rows.get_variables(uow, team, [key])
    if not found:
        raise not_found(team, key)
    return _open(sealer, team, found[0], secrets=True)


def list_variables(
    uow: UnitOfWork, sealer: Sealer, team: str, *, prefix: str, after_key: str | None, limit: int
) -> Sequence[Variable]:
    """A team's variables by key; the values of public ones only."""
    found = rows.list_variables(uow, team, prefix=prefix, after_key=after_key, limit=limit)
    return [_open(sealer, team, row, secrets=False) for row in found]


def set_variable(
    uow: UnitOfWork,
    sealer: Sealer,
    team: str,
    *,
    key: str,
    value: str | None,
    public: bool | None = None,
    description: str | None = None,
) -> tuple[Variable, bool]:
    """Create or change a variable; None leaves a part as it is. Answers it, and whether it was created.

    Raises:
        Refused: VARIABLE_NOT_FOUND, it is new and has no value; INVALID_ARGUMENT or VALUE_TOO_LARGE.
    """
    check_key(key)
    if value is not None:
        check_value_size(value, f"The value of variable '{key}'")
    if description is not None:
        check_description(description)
    found = rows.get_variables(uow, team, [key])
    old = found[0] if found else None
    if value is not None:
        sealed = sealer.seal(value.encode(), _place(team, key))
    elif old is not None:
        sealed = old.value_sealed
    else:
        raise Refused(
            Reason.VARIABLE_NOT_FOUND,
            f"Team '{team}' has no variable '{key}' yet; give it a value.",
            metadata={"key": key},
        )
    row = VariableRow(
        key=key,
        value_sealed=sealed,
        public=public if public is not None else (old is not None and old.public),
        description=description if description is not None else (old.description if old is not None else ""),
        created_time=uow.now if old is None else old.created_time,
        updated_time=uow.now,
    )
    rows.put_variable(uow, team, row)
    return _open(sealer, team, row, secrets=False), old is None


def delete_variable(uow: UnitOfWork, team: str, key: str) -> bool:
    """Delete a variable; answers whether it was there."""
    return rows.delete_variable(uow, team, key)


def not_found(team: str, key: str) -> Refused:
    """The refusal of a variable that is not there."""
    return Refused(
        Reason.VARIABLE_NOT_FOUND,
        f"Team '{team}' has no variable '{key}'; set it with `crosswind variables set {key} VALUE`.",
        metadata={"key": key},
    )


def check_key(key: str) -> None:
    """Raises `Refused`: INVALID_ARGUMENT."""
    if not 1 <= len(key) <= 250:
        raise Refused(
            Reason.INVALID_ARGUMENT, "The key of a variable has 1 to 250 characters.", metadata={"field": "key"}
        )


def check_value_size(value: str, what: str) -> None:
    """Raises `Refused`: VALUE_TOO_LARGE."""
    size = len(value.encode())
    if size > LARGEST_VALUE_BYTES:
        raise Refused(
            Reason.VALUE_TOO_LARGE,
            f"{what} has {size} bytes, and at most {LARGEST_VALUE_BYTES} are allowed; store it elsewhere and keep its"
            " place here.",
            metadata={"size_bytes": str(size), "limit_bytes": str(LARGEST_VALUE_BYTES)},
        )


def check_description(description: str) -> None:
    """Raises `Refused`: INVALID_ARGUMENT."""
    if len(description.encode()) > LARGEST_DESCRIPTION_BYTES:
        raise Refused(
            Reason.INVALID_ARGUMENT, "A description has at most 4 KiB; shorten it.", metadata={"field": "description"}
        )


def _place(team: str, key: str) -> str:
    return f"variable:{team}/{key}"


def _open(sealer: Sealer, team: str, row: VariableRow, *, secrets: bool) -> Variable:
    shown = secrets or row.public
    return Variable(
        key=row.key,
        value=sealer.open(row.value_sealed, _place(team, row.key)).decode() if shown else None,
        public=row.public,
        description=row.description,
        created_us=row.created_time,
        updated_us=row.updated_time,
    )

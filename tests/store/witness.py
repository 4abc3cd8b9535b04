"""A witness in a test's database: it sees every change of a state, whoever makes it, and holds it to the tables.

Triggers of the database note what task instances, attempts and runs were and became, so that neither a statement nor a
transaction escapes. What the tables in `domain.lifecycle` and `domain.transitions` do not allow fails the test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from crosswind_server.domain.lifecycle import TABLE
from crosswind_server.domain.states import AttemptState, RunState, TaskState
from crosswind_server.domain.transitions import RUNS, TASKS, Row
from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork

_TABLES: Final = ("task_instance", "dag_run", "attempt")
_ATTEMPT_MOVES: Final = {(state, cell.next_state) for (state, _), cell in TABLE.items()}


def rows_of_tables() -> set[tuple[str, str, str]]:
    """All that the tables say can happen, as `Sightings.rows` names it."""
    tables: list[tuple[str, Any]] = [("task_instance", TASKS), ("dag_run", RUNS)]
    return {(what, row.event, became.value) for what, table in tables for row in table.rows for became in row.to}


def _statements(kind: str) -> list[str]:
    if kind == "sqlite":
        made = ["CREATE TABLE seen (what TEXT, was TEXT, became TEXT, PRIMARY KEY (what, was, became))"]
        for table in _TABLES:
            note = "INSERT OR IGNORE INTO seen VALUES"
            made += [
                f"CREATE TRIGGER seen_new_{table} AFTER INSERT ON {table} BEGIN {note} ('{table}', '', NEW.state); END",
                f"CREATE TRIGGER seen_{table} AFTER UPDATE OF state ON {table} WHEN OLD.state <> NEW.state"
                f" BEGIN {note} ('{table}', OLD.state, NEW.state); END",
            ]
        return made
    made = [
        # No key: two transactions that note the same must not wait for each other.
        "CREATE TABLE seen (what TEXT, was TEXT, became TEXT)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO seen VALUES (TG_TABLE_NAME, CASE TG_OP WHEN 'INSERT' THEN '' ELSE OLD.state END, NEW.state);"
        " RETURN NULL; END $$",
    ]
    for table in _TABLES:
        made += [
            f"CREATE TRIGGER seen_new_{table} AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION see()",
            f"CREATE TRIGGER seen_{table} AFTER UPDATE OF state ON {table} FOR EACH ROW"
            " WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION see()",
        ]
    return made


@dataclass
class Sightings:
    """What was seen, and by which rows of the tables it happened."""

    moves: set[tuple[str, str, str]] = field(default_factory=set)
    forbidden: list[str] = field(default_factory=list)

    @property
    def rows(self) -> set[tuple[str, str, str]]:
        """What the tables say to what was seen: the database's table, the event, and what it led to."""
        return {
            (what, row.event, became)
            for what, before, after in self.moves
            for row, _, became in _explained(what, before, after)
        }


def _explained(what: str, before: str, after: str) -> list[tuple[Row[Any], str, str]]:
    moves: list[Any] = []
    if what == "task_instance":
        moves = list(TASKS.explain(TaskState(before) if before else None, TaskState(after)))
    elif what == "dag_run":
        moves = list(RUNS.explain(RunState(before) if before else None, RunState(after)))
    return [(row, was.value if was else "", became.value) for row, was, became in moves]


class Witness:
    """Notes the changes of states in a store's database, from now on."""

    def __init__(self, store: Store) -> None:
        self._store = store

        def install(uow: UnitOfWork, _: object) -> None:
            for statement in _statements(store.kind):
                uow.execute(text(statement.replace(":", "\\:")))

        store.write_blocking(each(install), None)

    def follow(self, store: Store) -> None:
        """Ask by another store over the same database, where the first one is to be closed."""
        self._store = store

    def look(self) -> Sightings:
        """What was seen until now."""
        query = text("SELECT DISTINCT what, was, became FROM seen")
        moves = {tuple(row) for row in self._store.read_blocking(lambda uow: uow.execute(query).all())}
        seen = Sightings(moves)
        for what, before, after in sorted(moves):
            if what == "attempt":
                allowed = not before or (AttemptState(before), AttemptState(after)) in _ATTEMPT_MOVES
            else:
                allowed = bool(_explained(what, before, after))
            if not allowed:
                seen.forbidden.append(f"{what} {before or '(new)'} -> {after}")
        return seen

    def check(self) -> Sightings:
        """The same; raises `AssertionError` where a table does not allow something."""
        seen = self.look()
        assert not seen.forbidden, (
            f"no row of domain/transitions.py (or of the attempts' table) allows {', '.join(seen.forbidden)}: "
            "mend what did it, or add the row and say why"
        )
        return seen

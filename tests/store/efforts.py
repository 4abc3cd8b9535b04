"""What a handler costs the database: statements, and what it reads, in units that do not depend on the machine."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import text

from crosswind_server.store.engine import Store
from crosswind_server.store.group_commit import each
from crosswind_server.store.unit_of_work import UnitOfWork

_FETCHED = text("SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'task_instance'")


def effort_of(
    store: Store, handler: Callable[[UnitOfWork, Sequence[Any]], Sequence[Any]], request: object
) -> tuple[int, int]:
    """How many statements a handler executes for a request, and how many rows of task instances PostgreSQL fetches for
    them, or how many hundred steps SQLite's machine makes. Raises what the handler answers, if that is an error."""

    def handle(uow: UnitOfWork) -> None:
        for answer in handler(uow, [request]):
            if isinstance(answer, Exception):
                raise answer

    def measure(uow: UnitOfWork, _: None) -> tuple[int, int]:
        if uow.dialect.name == "postgresql":
            # It counts since it last told its statistics, which may be some transactions ago.
            before, already = uow.execute(_FETCHED).scalar_one_or_none() or 0, uow.statements
            handle(uow)
            statements = uow.statements - already
            return statements, uow.execute(_FETCHED).scalar_one() - before
        hundreds = itertools.count()
        uow._driver_connection.set_progress_handler(lambda: next(hundreds) * 0, 100)
        try:
            handle(uow)
        finally:
            uow._driver_connection.set_progress_handler(None, 0)
        return uow.statements, next(hundreds)

    return store.write_blocking(each(measure), None)

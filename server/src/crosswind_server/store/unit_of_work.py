"""One transaction as services and queries see it. Who begins and commits it is in `group_commit` and `engine`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.sql.base import Executable

from crosswind_server.store.dialect import Dialect
from crosswind_server.store.prepared import PreparedResult, find_prepared, only_reads

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Result = CursorResult[Any] | PreparedResult


class UnitOfWork:
    """A transaction that somebody else began and will commit or roll back.

    Attributes:
        now: microseconds since 1970 UTC, the database's clock read once at the beginning of the transaction.
        dialect: what the two databases do differently; see `Dialect`.
        statements: how many statements were executed so far.
        refusals: the exception types that are an answer to a request rather than a fault.
    """

    __slots__ = (
        "_committed",
        "_connection",
        "_count_changes",
        "_driver_connection",
        "_marked",
        "_rows",
        "_topics",
        "_written",
        "dialect",
        "now",
        "refusals",
        "statements",
    )

    def __init__(
        self,
        connection: Connection,
        *,
        now: int,
        refusals: tuple[type[Exception], ...] = (),
        count_changes: Callable[[], int] | None = None,
    ) -> None:
        self._connection = connection
        self._driver_connection: Any = connection.connection.driver_connection
        # SQLite counts changed rows itself, so triggers and RETURNING are no riddle there. Elsewhere statements count.
        self._count_changes = count_changes
        self._written = 0
        self._rows = 0 if count_changes is None else count_changes()
        self._marked = 0
        self._topics: dict[str, None] = {}
        self._committed: list[Callable[[], None]] = []
        self.now = now
        self.refusals = refusals
        self.statements = 0
        self.dialect = Dialect(connection.dialect, self.execute)
        self.mark()

    def execute(self, statement: Executable, parameters: Parameters | None = None) -> Result:
        """Execute one Core statement; a sequence of parameters executes it once for each of them."""
        self.statements += 1
        prepared = find_prepared(statement, self._connection.dialect, _names(parameters))
        result: Result
        if prepared is None:
            result = self._connection.execute(statement, parameters)
            reads = self._count_changes is not None or only_reads(statement)
        elif parameters is None or isinstance(parameters, Mapping):
            result = prepared.execute(self._driver_connection, parameters or {})
            reads = prepared.only_reads
        else:
            result = prepared.execute_many(self._driver_connection, parameters)
            reads = prepared.only_reads
        # A guarded UPDATE that met no row wrote nothing: the refusal that follows needs no rollback.
        if self._count_changes is None and not reads and result.rowcount != 0:
            self._written += 1
            self._rows += max(result.rowcount, 0)
        return result

    def hint(self, topic: str) -> None:
        """Wake whoever waits for `topic`, in this server and all others, once the transaction is committed."""
        if "\n" in topic or "\0" in topic:
            raise ValueError(f"A topic is one line of text, and {topic[:80]!r} is not.")
        self._topics[topic] = None

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something in this process once the transaction is committed; not where that failed or is not known."""
        self._committed.append(action)

    def committed(self) -> None:
        """Do what was to wait for the commit; who commits calls it."""
        for action in self._committed:
            action()

    @property
    def topics(self) -> Sequence[str]:
        """The topics hinted so far, each once, in the order of their first mention."""
        return tuple(self._topics)

    @property
    def rows(self) -> int:
        """How many rows were written so far, each as often as it was."""
        return self._rows if self._count_changes is None else self._count_changes() - self._rows

    def mark(self) -> None:
        """Forget what was written so far, for `wrote`."""
        self._marked = self._written if self._count_changes is None else self._count_changes()

    @property
    def wrote(self) -> bool:
        """Whether a row may have been changed since `mark()`."""
        return self._marked != (self._written if self._count_changes is None else self._count_changes())


def _names(parameters: Parameters | None) -> tuple[str, ...]:
    if not parameters:
        return ()
    return tuple(parameters if isinstance(parameters, Mapping) else parameters[0])

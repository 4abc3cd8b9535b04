"""A server's heart under a clock that a test moves: what is due becomes due at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from crosswind_server.domain.errors import Refused
from crosswind_server.store.clock import Clock
from crosswind_server.store.due import probe
from crosswind_server.store.engine import Store
from crosswind_server.store.unit_of_work import UnitOfWork
from tests.store.flow import Flow

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> int:
    """A moment in UTC, such as `2026-03-29T00:30`, in microseconds since the epoch."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def shown(moment: int | None) -> str | None:
    """The same as people read it."""
    return None if moment is None else (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M")


class MovedClock(Clock):
    """Stands still until it is moved."""

    def __init__(self, start: int) -> None:
        self.now = start

    def of_transaction(self, database_us: int) -> int:
        """The same for every transaction."""
        return self.now

    def wall_us(self) -> int:
        """The same moment."""
        return self.now

    def monotonic(self) -> float:
        """Seconds since the epoch."""
        return self.now / SECOND


class TimedFlow(Flow):
    """A heart whose time is the test's."""

    def __init__(self, store: Store, clock: MovedClock) -> None:
        super().__init__(store)
        self.clock = clock

    @property
    def now(self) -> int:
        """What its clock says."""
        return self.clock.now

    def move_to(self, moment: int | str) -> None:
        """Let time pass, and all that is due on the way happen when it is due."""
        end = at(moment) if isinstance(moment, str) else moment
        while True:
            self.continue_all()
            due = self.store.read_blocking(probe_timer)
            if due is None or due > end:
                break
            self.clock.now = max(due, self.clock.now)
        self.clock.now = end
        self.continue_all()

    def pass_time(self, span: int) -> None:
        """Let so many microseconds pass."""
        self.move_to(self.clock.now + span)


def probe_timer(uow: UnitOfWork) -> int | None:
    """When the next timer is due."""
    return probe(uow).timer


@contextmanager
def timed_flow(url: str, start: str = "2026-03-01T12:00") -> Iterator[TimedFlow]:
    """A heart over a database, at a moment."""
    clock = MovedClock(at(start))
    with Store.open(url, readers=1, refusals=(Refused,), clock=clock) as store:
        yield TimedFlow(store, clock)

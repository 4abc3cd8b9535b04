"""Fixtures of the flow tests: a heart over a real store, on each database."""

from collections.abc import Iterator

import pytest

from crosswind_server.domain.errors import Refused
from crosswind_server.store.engine import Store
from tests.store.clocks import TimedFlow, timed_flow
from tests.store.flow import Flow
from tests.store.witness import Witness


@pytest.fixture
def flow(migrated_url: str) -> Iterator[Flow]:
    """A heart over a fresh database; the test runs once on each kind."""
    with Store.open(migrated_url, readers=1, refusals=(Refused,)) as store:
        witness = Witness(store)
        yield Flow(store)
        witness.check()


@pytest.fixture
def timed(migrated_url: str) -> Iterator[TimedFlow]:
    """The same under a clock that the test moves, at noon of 2026-03-01."""
    with timed_flow(migrated_url) as flow:
        yield flow


@pytest.fixture
def sqlite_flow(migrated_sqlite_url: str) -> Iterator[Flow]:
    """A heart over a fresh SQLite file, where the database makes no difference."""
    with Store.open(migrated_sqlite_url, readers=1, refusals=(Refused,)) as store:
        yield Flow(store)

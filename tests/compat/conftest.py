"""Fixtures of the laboratory: one server and one program a language and version for a whole run."""

from collections.abc import Iterator

import pytest

from crosswind_server.versions.gates import Gates
from tests.compat.lab.clients import LANGUAGES, Clients, DirectClients
from tests.compat.lab.history import lab_history
from tests.compat.lab.server import RunningLab, serve_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    """The laboratory behind a socket."""
    with serve_lab(lab_history()) as running:
        yield running


@pytest.fixture(scope="session", params=LANGUAGES)
def clients(lab: RunningLab, request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Clients of every version, in each language."""
    found = Clients(request.param, lab.address, lab.metadata)
    yield found
    found.close()


@pytest.fixture(scope="session")
def direct() -> DirectClients:
    """Clients of every version, without a socket."""
    return DirectClients(Gates(lab_history()))

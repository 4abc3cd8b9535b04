"""Fixtures: a cluster of real processes, on each worker kind and, where it matters, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support.cluster import Cluster
from tests.e2e.support.go_bundles import GoBundles
from tests.e2e.support.workers import GoKind, PythonKind, WorkerKind


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the ends of all processes' logs with a test that failed."""
    report = yield
    used = getattr(item, "funcargs", {})
    for cluster in (used.get("cluster"), used.get("each_cluster"), *used.get("clusters", ())):
        if report.failed and cluster is not None:
            report.sections.append(("logs of its processes", cluster.logs()))
    return report


@pytest.fixture(params=["python", "go"])
def worker_kind(request: pytest.FixtureRequest) -> WorkerKind:
    """The language of the workers under test."""
    return GoKind(request.getfixturevalue("go_bundles")) if request.param == "go" else PythonKind()


@pytest.fixture(scope="session")
def go_bundles(tmp_path_factory: pytest.TempPathFactory) -> GoBundles:
    """What is built of Go, once for the whole run."""
    return GoBundles(tmp_path_factory.mktemp("go"))


@pytest.fixture
def clusters() -> Iterator[list[Cluster]]:
    """Where a test puts a cluster that it makes itself, on a database of its own: it is closed with the test."""
    made: list[Cluster] = []
    yield made
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(worker_kind: WorkerKind, migrated_sqlite_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on SQLite."""
    cluster = Cluster(worker_kind, migrated_sqlite_url, tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def each_cluster(worker_kind: WorkerKind, migrated_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on each database: for what the database decides."""
    cluster = Cluster(worker_kind, migrated_url, tmp_path)
    yield cluster
    cluster.close()

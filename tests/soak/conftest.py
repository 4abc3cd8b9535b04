"""The fixtures of the end-to-end tests, for tests that take long."""

from tests.e2e.conftest import cluster, pytest_runtest_makereport, worker_kind

__all__ = ["cluster", "pytest_runtest_makereport", "worker_kind"]

"""The fixtures of the end-to-end tests, for tests that take long."""

from tests.e2e.conftest import cluster, go_bundles, pytest_runtest_makereport, worker_kind

__all__ = ["cluster", "go_bundles", "pytest_runtest_makereport", "worker_kind"]

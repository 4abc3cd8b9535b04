"""The random tests of execution, for long: minutes on each database, where `make test` takes seconds."""

import pytest

from tests.lifecycle.scene.scene import Scene
from tests.lifecycle.test_graph_twin import compare
from tests.store.test_store_machine import tell

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_long_stories_on_sqlite():
    tell("sqlite://", stories=400, steps=60)


def test_long_stories_with_two_servers_on_postgresql(migrated_postgres_url: str):
    tell(migrated_postgres_url, stories=200, steps=60)


def test_many_graphs():
    scene = Scene("sqlite://")
    try:
        scene.execute("worker w1 slots=1000")
        compare(scene, runs=2_000)
    finally:
        scene.close()

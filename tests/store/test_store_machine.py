"""Short random stories on both databases; `make soak` tells long ones."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine import StoreMachine, World


def tell(url: str, *, stories: int, steps: int) -> None:
    """Tell stories, each of so many steps, to servers over a database."""
    world = World(url, servers=2 if url.startswith("postgresql") else 1)
    machine = type("Story", (StoreMachine,), {"world": world})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=stories,
                stateful_step_count=steps,
                deadline=None,
                report_multiple_bugs=False,
                phases=(Phase.generate,),  # a story leaves its runs behind, so a shorter one is another one
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        world.close()


def test_the_rules_hold_after_every_step_on_sqlite():
    tell("sqlite://", stories=15, steps=30)


def test_the_rules_hold_after_every_step_with_two_servers_on_postgresql(migrated_postgres_url: str):
    tell(migrated_postgres_url, stories=8, steps=30)

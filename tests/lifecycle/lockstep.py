"""World and twin, told the same story: after every command replies and states must be the same."""

from __future__ import annotations

from crosswind_server.domain.lifecycle import TABLE, Table
from tests.lifecycle.twin import Twin
from tests.lifecycle.world import World


class Disagreement(AssertionError):
    """World and twin differ."""


class Lockstep:
    def __init__(self, table: Table = TABLE) -> None:
        self.world = World(table)
        self.twin = Twin()

    def execute(self, text: str) -> tuple[str, ...]:
        replies = self.world.execute(text)
        expected = self.twin.tell(text)
        story = "\n".join(self.twin.history)
        if replies != expected:
            raise Disagreement(f"after\n{story}\nthe world answers {replies}, the twin {expected}")
        world, twin = self.world.snapshot(), self.twin.snapshot()
        if world != twin:
            raise Disagreement(f"after\n{story}\nthe world is\n{world}\nthe twin is\n{twin}")
        return replies

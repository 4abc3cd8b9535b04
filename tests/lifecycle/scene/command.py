"""The registry of commands, and the reading of a block into commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.lifecycle.scene.text import Arguments, Unreadable, split

if TYPE_CHECKING:
    from tests.lifecycle.scene.scene import Scene

Action = Callable[["Scene", Arguments], Iterable[str]]
"""Does a command and answers what it prints, one line each."""

COMMANDS: Final[dict[str, Action]] = {}


def command(verb: str) -> Callable[[Action], Action]:
    """Makes a function the command of a verb."""

    def register(action: Action) -> Action:
        if verb in COMMANDS:
            raise ValueError(f"There are two commands {verb}.")
        COMMANDS[verb] = action
        return action

    return register


@dataclass(frozen=True)
class Block:
    """Commands and what they print.

    Args:
        heading: comment lines before it.
    """

    heading: tuple[str, ...]
    commands: tuple[str, ...]
    expected: tuple[str, ...]


def read_blocks(text: str) -> list[Block]:
    """The blocks of a transcript."""
    blocks: list[Block] = []
    heading: list[str] = []
    commands: list[str] = []
    expected: list[str] | None = None
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if expected is not None:
                blocks.append(Block(tuple(heading), tuple(commands), tuple(expected)))
                heading, commands, expected = [], [], None
            elif commands or heading:
                (commands or heading).append("")
        elif expected is not None:
            expected.append(line)
        elif line == "----":
            expected = []
        elif line.startswith("#") and not commands:
            heading.append(line)
        else:
            commands.append(line)
    if commands:
        raise Unreadable(f"The last block has no ----: {commands[0]}")
    return blocks


def write_block(block: Block, printed: Iterable[str]) -> str:
    """A block as it stands in a file."""
    return "\n".join([*block.heading, *block.commands, "----", *printed])


def singles(block: Block) -> list[str]:
    """The commands of a block, one by one."""
    return split("\n".join(block.commands), ";\n")

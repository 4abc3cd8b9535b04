"""Transcripts: commands, `----`, what they print, a blank line. Here they are read, run and written back.

`CROSSWIND_REWRITE=1 pytest tests/lifecycle` writes what the rules do now into the files; read the diff before you
commit it. A `# rules:` line names the rules that a transcript is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lifecycle.commands import SECOND, Snapshot
from tests.lifecycle.world import World

FOLDER = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Block:
    commands: tuple[str, ...]
    expected: tuple[str, ...]
    heading: tuple[str, ...]
    """Comment lines before it."""

    def commands_text(self) -> str:
        return "\n".join(self.commands)


@dataclass(frozen=True)
class Transcript:
    name: str
    rules: frozenset[str]
    blocks: tuple[Block, ...]

    def commands(self) -> Iterator[str]:
        """Every single command, in order."""
        for block in self.blocks:
            yield from singles(block)

    def play(self, world: World) -> Iterator[tuple[Block, tuple[str, ...]]]:
        """Runs it and yields what each block printed."""
        for block in self.blocks:
            printed: list[str] = []
            for command in singles(block):
                printed += run(world, world.execute, command)
            yield block, tuple(printed)

    def agrees(self, world: World) -> bool:
        return all(block.expected == printed for block, printed in self.play(world))


def singles(block: Block) -> list[str]:
    return [part.strip() for line in block.commands for part in line.split(";") if part.strip()]


def run(world: World, execute: Callable[[str], tuple[str, ...]], command: str) -> list[str]:
    """What a command prints: its replies, then what changed."""
    before = world.snapshot()
    replies = execute(command)
    return [*replies, *_changes(before, world.snapshot(), world.now_us)]


def load(path: Path) -> Transcript:
    rules: set[str] = set()
    blocks: list[Block] = []
    heading: list[str] = []
    for paragraph in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = paragraph.splitlines()
        while lines and lines[0].startswith("#"):
            line = lines.pop(0)
            heading.append(line)
            if line.startswith("# rules:"):
                rules.update(line.removeprefix("# rules:").split())
        if lines:
            cut = lines.index("----") if "----" in lines else len(lines)
            blocks.append(Block(tuple(lines[:cut]), tuple(lines[cut + 1 :]), tuple(heading)))
            heading = []
    return Transcript(path.stem, frozenset(rules), tuple(blocks))


def load_all() -> list[Transcript]:
    return [load(path) for path in sorted(FOLDER.glob("*.txt"))]


def rewrite(transcript: Transcript, world: World) -> None:
    parts = []
    for block, printed in transcript.play(world):
        parts.append("\n".join([*block.heading, *block.commands, "----", *printed]))
    (FOLDER / f"{transcript.name}.txt").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _changes(before: Snapshot, after: Snapshot, now_us: int) -> Iterator[str]:
    for name, (state, _, outcome) in after.attempts.items():
        old = before.attempts.get(name)
        if old is None or old[0] != state:
            yield f"attempt {name} {_arrow(old[0] if old else None, state)}" + (
                f" outcome={outcome}" if outcome else ""
            )
    for name, (state, *used, due) in after.tasks.items():
        was = before.tasks.get(name)
        if was == (state, *used, due):
            continue
        text = f"task {name} {_arrow(was[0] if was else None, state)}"
        if was is not None:
            shown = zip(("tries", "failures", "losses"), used, was[1:4], strict=True)
            text += "".join(f" {key}={new}" for key, new, old_count in shown if new != old_count)
        if due is not None:
            text += f" due in {(due - now_us) / SECOND:g}s"
        yield text
    for name, worker in after.workers.items():
        if before.workers.get(name) != worker:
            yield f"worker {name} {_arrow(before.workers.get(name), worker)}"


def _arrow(old: str | None, new: str) -> str:
    return new if old is None or old == new else f"{old} -> {new}"

"""What CONTRIBUTING.md says of changing a field, read so that a test can do it: commands, edits and what they answer.

Edits are unified diffs without line numbers: a hunk's old lines are searched, and must be there once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTION = "Change a field in ten minutes"


@dataclass(frozen=True)
class Block:
    """A fenced block of the page."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines that are not empty."""
        return [line for line in self.text.splitlines() if line.strip()]


def read_blocks(page: Path, section: str = SECTION) -> list[Block]:
    """The fenced blocks of a section, in order."""
    found = re.search(rf"^## {re.escape(section)}$(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no section '{section}'"
    return [
        Block(language, text)
        for language, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", found[1], re.MULTILINE | re.DOTALL)
    ]


def apply_edits(diff: str, root: Path) -> None:
    """Make the edits of a diff.

    Raises:
        AssertionError: what is to be replaced is not there, or more than once.
    """
    for name, old, new in _hunks(diff):
        path = root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} has this {text.count(old)} times, not once:\n{old}"
        path.write_text(text.replace(old, new))


def _hunks(diff: str) -> Iterator[tuple[str, str, str]]:
    name, old, new = "", "", ""
    for line in [*diff.splitlines(), "@@"]:
        if line.startswith(("@@", "--- ", "+++ ")):
            if old:
                yield name, old, new
            old = new = ""
            name = line.removeprefix("+++ b/") if line.startswith("+++ ") else name
            continue
        if not line.startswith("+"):
            old += f"{line[1:]}\n"
        if not line.startswith("-"):
            new += f"{line[1:]}\n"

"""`docs/protocol.md` says what the code does: its rules and the failures of the system."""

from __future__ import annotations

import re
from pathlib import Path

from crosswind_server.domain.rules import RULES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()
SOURCES = [
    path
    for folder in (ROOT / "server" / "src", ROOT / "sdk_python" / "src")
    for path in folder.rglob("*.py")
    if not path.stem.endswith(("_pb2", "_pb2_grpc"))
]


def _section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_failure_of_the_system_is_described() -> None:
    described = set(re.findall(r"^\| `crosswind\.(\w+)` \|", _section("6. Failures of the system"), re.MULTILINE))
    used: set[str] = set()
    for path in SOURCES:
        text = path.read_text()
        used |= set(re.findall(r'"crosswind\.([A-Z]\w+)"', text))
        used |= set(re.findall(r'system_failure\(\s*"(\w+)"', text))
    assert used == described


def test_the_lifecycle_cites_only_rules_of_the_document() -> None:
    rules = set(re.findall(r"^\* \*\*([A-Z]+-\d)\*\*", _section("3. Rules"), re.MULTILINE))
    assert rules >= set(RULES)
    cited: set[str] = set()
    for path in [*SOURCES, *(ROOT / "proto").rglob("*.proto")]:
        cited |= set(re.findall(r"\[([A-Z]+-\d)\]", path.read_text()))
    assert cited <= rules
    assert rules <= cited


def test_every_rule_is_named_by_a_test() -> None:
    rules = set(re.findall(r"^\* \*\*([A-Z]+-\d)\*\*", _section("3. Rules"), re.MULTILINE))
    named: set[str] = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix in {".py", ".txt"} and path.name != Path(__file__).name:
            named |= set(re.findall(r"\b([A-Z]+-\d)\b", path.read_text()))
    assert sorted(rules - named) == []

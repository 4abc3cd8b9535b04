"""Every block of Python in the documents is executed, each in an interpreter of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOAD = """
import sys
from pathlib import Path
from crosswind.author.checking import check_path

report = check_path(Path(sys.argv[1]))
print(*report.findings, sep="\\n")
sys.exit(0 if report.dag_ids and not report.findings else "The block defines no DAG, or one that is not in order.")
"""


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> Iterator[object]:
    for document in documents():
        text = document.read_text()
        for match in BLOCK.finditer(text):
            name = f"{document.relative_to(ROOT)}:{text.count(chr(10), 0, match.start(1)) + 1}"
            yield pytest.param(match[1], id=name)


def test_the_author_s_guide_and_the_readme_have_blocks():
    found = [document.name for document in documents() if BLOCK.search(document.read_text())]
    assert {"README.md", "python.md"} <= set(found)


@pytest.mark.parametrize("source", list(blocks()))
def test_a_block_runs(tmp_path, source):
    file = tmp_path / "block.py"
    file.write_text(source)
    defines_dag = re.search(r"\bDAG\(|^@dag\b", source, re.MULTILINE)
    command = [sys.executable, "-c", LOAD, file] if defines_dag else [sys.executable, file]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr

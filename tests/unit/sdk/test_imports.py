"""What importing brings along: authors' names come without protobuf and gRPC, and no room of theirs needs one above."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(LAYERS,) = (contract for contract in CONTRACTS if contract.get("containers") == ["crosswind.author"])


def modules_after(statement: str) -> set[str]:
    """The modules that a statement leaves imported in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


def test_names_of_authors_come_without_protobuf_and_grpc():
    names = "DAG, Connection, TaskGroup, Variable, chain, get_current_context, task, task_group"
    loaded = modules_after(f"from crosswind import {names}")
    assert "crosswind.author.dag" in loaded
    assert not [name for name in loaded if name.split(".")[0] == "grpc" or name.startswith("google.protobuf")]


@pytest.mark.parametrize("edge", LAYERS["ignore_imports"])
def test_imports_that_the_contract_lets_pass_are_for_type_checkers_only(edge):
    upper, lower = edge.split(" -> ")
    loaded = modules_after(f"import {upper}")
    assert upper in loaded
    assert lower not in loaded

"""Who names an API version: `versions/` in the server, and one place in each SDK. Nobody else. [VER-1]

A handler, a rule or a statement that asked for the version of its caller would be what gates are there to spare.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server" / "src" / "crosswind_server"
NEWEST_ONLY = ("rpc", "services", "domain", "store")
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def names_of_versions(source: str) -> Iterator[str]:
    """What in a module names an API version, with its line; what its docstrings say is not asked."""
    tree = ast.parse(source)
    docstrings = {id(text) for text in _docstrings(tree)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in docstrings and DATE.search(text):
                yield f"{node.lineno}: {text!r}"
            case ast.Call(func=ast.Name(id="date") | ast.Attribute(attr="date")) if len(node.args) == 3:
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.ImportFrom(module=str() as module) if _is_versions(module) or (
                module == "crosswind_server" and any(each.name == "versions" for each in node.names)
            ):
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Import() if any(_is_versions(each.name) for each in node.names):
                yield f"{node.lineno}: {ast.unparse(node)}"


def _is_versions(module: str) -> bool:
    return f"{module}.".startswith("crosswind_server.versions.")


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every text that stands alone: that of a module, a class, a function or an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def modules() -> list[Path]:
    return [path for folder in NEWEST_ONLY for path in sorted((SERVER / folder).rglob("*.py"))]


def test_no_handler_no_rule_and_no_statement_names_a_version():
    assert len(modules()) > 50
    found = [f"{path.relative_to(ROOT)}:{name}" for path in modules() for name in names_of_versions(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('def f(v):\n    return v < "2027-02-01"\n', 1),
        ('def f(v):\n    return f"{v} 2027-02-01"\n', 1),
        ("from datetime import date\n\nD = date(2027, 2, 1)\n", 1),
        ("from crosswind_server.versions.releases import CURRENT\n", 1),
        ("from crosswind_server import versions\n", 1),
        ("import crosswind_server.versions.gates\n", 1),
        ('"""As in 2027-02-01."""\n\nX = 1\n"""Since 2027-02-01."""\n', 0),
        ("from crosswind_server.domain.version import ApiVersion\n", 0),
    ],
)
def test_a_name_of_a_version_is_found(source, count):
    assert len(list(names_of_versions(source))) == count


def test_the_python_sdk_names_its_versions_in_one_place():
    sources = ROOT / "sdk_python" / "src"
    found = {}
    for path in sources.rglob("*.py"):
        if not path.stem.endswith(("_pb2", "_pb2_grpc")):
            tree = ast.parse(path.read_text())
            docstrings = {id(text) for text in _docstrings(tree)}
            texts = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            ]
            dates = [text for text in texts if DATE.fullmatch(text)]
            if dates:
                found[str(path.relative_to(sources))] = dates
    assert list(found) == ["crosswind/api_versions.py"]


def test_the_go_sdk_names_its_versions_in_one_place():
    sources = ROOT / "sdk_go"
    found = set()
    for path in sources.rglob("*.go"):
        relative = path.relative_to(sources)
        if not path.name.endswith("_test.go") and not relative.is_relative_to("internal/gen"):
            code = re.sub(r"//.*", "", path.read_text())
            if set(DATE.findall(code)) - {"2006-01-02"}:  # which is how Go writes the layout of a date
                found.add(str(relative))
    assert found == {"internal/apiversion/apiversion.go"}

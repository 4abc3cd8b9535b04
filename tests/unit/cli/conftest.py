from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crosswind.cli.application import run
from crosswind.control.v1 import bundles_pb2
from tests.unit.cli.canned_server import CannedServer


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """A server that answers what the test says, and has no bundles until the test says so."""
    with CannedServer() as server:
        server.answer("BundleCatalogService/ListBundles", bundles_pb2.ListBundlesResponse())
        yield server


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory from which no server can be found."""
    folder = tmp_path / "somewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("CROSSWIND_SERVER", "CROSSWIND_TOKEN_FILE", "CROSSWIND_ACCESS_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    return folder


@pytest.fixture
def crosswind(capsys: pytest.CaptureFixture[str], somewhere: Path) -> Callable[..., Result]:
    """Runs the command in this process: `crosswind("dags", "list")`."""

    def call(*arguments: str) -> Result:
        code = run(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def ask(server: CannedServer, crosswind: Callable[..., Result], tmp_path: Path) -> Callable[..., Result]:
    """As `crosswind`, on the canned server and with a token."""
    token = tmp_path / "token"
    token.write_text("the-token\n")

    def call(*arguments: str) -> Result:
        return crosswind(*arguments, "--server", server.address, "--token-file", str(token))

    return call

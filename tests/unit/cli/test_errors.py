import json
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from crosswind.api_versions import newest
from crosswind.cli import MISSING_EXTRA
from crosswind.control.v1 import dags_pb2, variables_pb2
from tests.unit.cli.canned_server import Refusal


def free_address() -> str:
    """An address where nobody listens: the socket that reserves it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_no_server_to_be_found(crosswind):
    result = crosswind("dags", "list")
    assert result.code == 3
    assert "crosswind-server start" in result.err
    assert result.out == ""


def test_server_that_is_down(crosswind, tmp_path):
    (tmp_path / "token").write_text("t")
    address = free_address()
    result = crosswind("dags", "list", "--server", address, "--token-file", str(tmp_path / "token"))
    assert result.code == 3
    assert result.err.startswith(f"No Crosswind server answers at {address}: start one")
    assert len(result.err.splitlines()) == 1


def test_something_else_answers(server, ask):
    result = ask("dags", "list")  # nothing was said about this method: UNIMPLEMENTED without ErrorInfo
    assert result.code == 3
    assert f"What answers at {server.address} is not a Crosswind server" in result.err


@pytest.mark.parametrize(
    ("code", "reason"),
    [(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"), (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")],
)
def test_token_refused(server, ask, code, reason):
    server.answer("DagService/ListDags", Refusal(code, reason, "The token has expired: ask for a new one."))
    result = ask("dags", "list", "--output", "json")
    assert (result.code, result.err, result.out) == (3, "The token has expired: ask for a new one.\n", "")


def test_refused_call(server, ask):
    server.answer("DagService/GetDag", Refusal(grpc.StatusCode.NOT_FOUND, "DAG_NOT_FOUND", "There is no DAG `x`."))
    result = ask("dags", "show", "x")
    assert (result.code, result.err) == (1, "There is no DAG `x`.\n")


def test_calls_carry_token_and_version(server, ask):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse())
    assert ask("dags", "list").code == 0
    assert server.metadata[0]["authorization"] == "Bearer the-token"
    assert server.metadata[0]["crosswind-api-version"] == newest()


def test_call_that_met_a_stopping_server_is_repeated_where_that_is_safe(server, ask):
    ended = Refusal(grpc.StatusCode.CANCELLED, "", "CANCELLED")
    server.answer("VariableService/DeleteVariable", ended, variables_pb2.DeleteVariableResponse())
    assert ask("variables", "delete", "unit").code == 0
    one, other = server.requests("VariableService/DeleteVariable", variables_pb2.DeleteVariableRequest)
    assert one == other
    server.answer("DagService/ListDags", ended)
    refused = ask("dags", "list")
    assert (refused.code, refused.err) == (
        3,
        f"The server at {server.address} stopped before it answered: try again in a moment.\n",
    )


@pytest.mark.parametrize(("text", "says"), [("", "holds no token"), ("two words", "holds no token")])
def test_unusable_token_file(crosswind, tmp_path, text, says):
    file = tmp_path / "token"
    file.write_text(text)
    result = crosswind("dags", "list", "--server", "127.0.0.1:1", "--token-file", str(file))
    assert result.code == 3
    assert says in result.err


def test_missing_token_file(crosswind, tmp_path):
    result = crosswind("dags", "list", "--server", "127.0.0.1:1", "--token-file", str(tmp_path / "none"))
    assert result.code == 3
    assert f"There is no token file {tmp_path / 'none'}" in result.err


def test_wrong_option_is_one_sentence(crosswind):
    result = crosswind("dags", "list", "--bogus")
    assert (result.code, result.err) == (2, "No such option: --bogus. See `crosswind dags list --help`.\n")


@pytest.mark.parametrize("conf", ["[1]", "{", "@/does/not/exist"])
def test_conf_that_is_no_object(ask, conf):
    result = ask("dags", "trigger", "flights", "--conf", conf)
    assert result.code == 2
    assert "--conf" in result.err
    assert len(result.err.splitlines()) == 1


def test_settings_file_names_server_and_token(server, crosswind, somewhere):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse(dags=[dags_pb2.Dag(dag_id="flights")]))
    (somewhere / "secret").write_text("from-file")
    (somewhere / "crosswind.toml").write_text(f'[client]\nserver = "{server.address}"\ntoken_file = "secret"\n')
    result = crosswind("dags", "list", "--output", "json")
    assert [dag["dag_id"] for dag in json.loads(result.out)] == ["flights"]
    assert server.metadata[0]["authorization"] == "Bearer from-file"


def test_environment_goes_before_settings_file(server, crosswind, somewhere, monkeypatch):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse())
    (somewhere / "secret").write_text("from-environment")
    (somewhere / "crosswind.toml").write_text('[client]\nserver = "127.0.0.1:1"\ntoken_file = "other"\n')
    monkeypatch.setenv("CROSSWIND_SERVER", server.address)
    monkeypatch.setenv("CROSSWIND_ACCESS_TOKEN_FILE", str(somewhere / "secret"))
    # That is the one of the workers on the same machine.
    monkeypatch.setenv("CROSSWIND_TOKEN_FILE", str(somewhere / "enrolment-token"))
    assert crosswind("dags", "list").code == 0
    assert server.metadata[0]["authorization"] == "Bearer from-environment"


def test_note_of_a_running_server_is_found(server, crosswind, somewhere):
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse())
    home = somewhere / ".crosswind"
    home.mkdir()
    (home / "access-token").write_text("from-note")
    note = {"address": server.address, "process_id": 1, "access_token_file": str(home / "access-token")}
    (home / "server.json").write_text(json.dumps(note))
    assert crosswind("dags", "list").code == 0
    assert server.metadata[0]["authorization"] == "Bearer from-note"


def test_unknown_setting_is_named(crosswind, somewhere):
    (somewhere / "crosswind.toml").write_text("[client]\nserveur = 'x'\n")
    result = crosswind("dags", "list")
    assert result.code == 2
    assert "crosswind.toml" in result.err
    assert "`serveur`" in result.err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(missing, tmp_path: Path):
    program = f"import sys; sys.modules[{missing!r}] = None; from crosswind.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, MISSING_EXTRA + "\n")


def test_tls_is_spoken_where_it_is_asked_for(server, ask, tmp_path):
    # The canned server speaks none, so a client that begins a handshake does not reach it.
    server.answer("DagService/ListDags", dags_pb2.ListDagsResponse())
    assert ask("dags", "list").code == 0
    refused = ask("dags", "list", "--tls")
    assert refused.code == 3
    assert refused.err == f"The server at {server.address} does not speak TLS: leave out --tls and --tls-ca.\n"
    missing = ask("dags", "list", "--tls-ca", str(tmp_path / "none.pem"))
    assert (missing.code, len(missing.err.splitlines())) == (2, 1)
    assert "none.pem" in missing.err
    (tmp_path / "empty.pem").write_text("nothing")
    empty = ask("dags", "list", "--tls-ca", str(tmp_path / "empty.pem"))
    assert (empty.code, len(empty.err.splitlines())) == (2, 1)
    assert "holds no certificates" in empty.err


def test_defect_is_one_sentence_and_its_traceback_is_at_hand(ask, monkeypatch):
    monkeypatch.setattr("crosswind.cli.dags.ListDagsRequest", lambda **_: 1 / 0)
    result = ask("dags", "list")
    assert result.code == 1
    assert result.err.startswith("A defect of this command: ZeroDivisionError: division by zero.")
    monkeypatch.setenv("CROSSWIND_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        ask("dags", "list")

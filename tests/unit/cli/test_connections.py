import io
import json

import pytest

from crosswind.cli.connections import UriParts, parse_uri
from crosswind.cli.failures import CommandError
from crosswind.control.v1 import connections_pb2


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("postgres://db", UriParts(conn_type="postgres", host="db")),
        (
            "postgres://ann:p%40ss@db.example:5433/sales",
            UriParts(conn_type="postgres", host="db.example", port=5433, schema="sales", login="ann", password="p@ss"),
        ),
        (
            "http://api?timeout=5&verify=",
            UriParts(conn_type="http", host="api", extra_json='{"timeout": "5", "verify": ""}'),
        ),
        ("s3:///bucket/key", UriParts(conn_type="s3", schema="bucket/key")),
        ("x://[::1]:80/a%2Fb", UriParts(conn_type="x", host="::1", port=80, schema="a/b")),
    ],
)
def test_uri(uri, parts):
    assert parse_uri(uri) == parts


@pytest.mark.parametrize("uri", ["db", "postgres:db", "postgres://db:port/x", "://db", "postgres://db:99999"])
def test_wrong_uri(uri):
    with pytest.raises(CommandError, match="URI"):
        parse_uri(uri)


@pytest.fixture
def saved(server, ask, monkeypatch):
    """Runs `connections set` with a standard input and answers the connection that the server was sent."""
    server.answer("ConnectionService/SetConnection", connections_pb2.SetConnectionResponse(created=True))

    def call(*arguments: str, stdin: str = "") -> connections_pb2.Connection:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        result = ask("connections", "set", *arguments)
        assert result.code == 0, result.err
        requests = server.requests("ConnectionService/SetConnection", connections_pb2.SetConnectionRequest)
        return requests[-1].connection

    return call


def test_from_flags(saved):
    connection = saved("db", "--type", "postgres", "--host", "h", "--port", "5432", "--login", "ann", "--schema", "s")
    assert (connection.connection_id, connection.conn_type, connection.host) == ("db", "postgres", "h")
    assert (connection.port, connection.login, connection.schema) == (5432, "ann", "s")
    assert not connection.HasField("password")  # absent: what the server has stays
    assert not connection.HasField("extra_json")


def test_flags_go_before_the_uri(saved):
    connection = saved("db", "postgres://ann@h:1/s", "--host", "other", "--port", "2")
    assert (connection.host, connection.port, connection.login) == ("other", 2, "ann")


def test_password_from_a_pipe(saved):
    assert saved("db", "postgres://h", "--password", stdin="hunter2\n").password == "hunter2"


def test_password_from_a_file(saved, tmp_path):
    (tmp_path / "password").write_text(" two words \n")
    assert saved("db", "postgres://h", "--password-file", str(tmp_path / "password")).password == " two words "


def test_uri_with_a_password_from_a_pipe(saved):
    connection = saved("db", "-", stdin="postgres://ann:hunter2@h?ssl=1\n")
    assert (connection.login, connection.password) == ("ann", "hunter2")
    assert json.loads(connection.extra_json) == {"ssl": "1"}


def test_extra_from_a_file(saved, tmp_path):
    (tmp_path / "extra").write_text('{"region": "eu"}\n')
    assert json.loads(saved("s3", "--type", "s3", "--extra-file", str(tmp_path / "extra")).extra_json) == {
        "region": "eu"
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["db", "postgres://ann:hunter2@h"], "can be seen by others"),
        (["db", "--host", "h"], "Add --type"),
        (["db", "-", "--password-file", "-"], "Only one of"),
        (["db", "--type", "x", "--password-file", "/does/not/exist"], "/does/not/exist cannot be read"),
    ],
)
def test_refused_before_any_call(server, ask, arguments, says):
    result = ask("connections", "set", *arguments)
    assert result.code == 2
    assert says in result.err
    assert "hunter2" not in result.err
    assert not server.asked

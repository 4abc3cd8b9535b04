import json
from pathlib import Path

import pytest

from crosswind.client.discovery import find_server, with_port
from crosswind.runtime.settings import SettingsError, WorkerSettings, read_settings
from crosswind.runtime.worker_command import EXIT_SETTINGS, main
from tests.unit.worker.plugin_files import pack


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "here" / "dags").mkdir(parents=True)
    (tmp_path / "here" / "one.py").write_text("")
    return tmp_path / "here"


def read(place: Path, *arguments: str, **environ: str) -> WorkerSettings:
    environ = {"HOME": str(place.parent / "home"), **environ}
    return read_settings(arguments, environ=environ, working_directory=place)


def write_config(place: Path, text: str) -> None:
    (place / "crosswind.toml").write_text(text)


def write_note(folder: Path, **note: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.json").write_text(json.dumps(note))


def test_flag_then_environment_then_file_then_default(place):
    default = read(place)
    assert (default.server.address, default.queues) == ("127.0.0.1:8090", ())
    write_config(place, 'server = "file:1"\n[worker]\nslots = 3\nqueue = ["f"]\nname = "file"\nlabel = {zone = "f"}\n')
    found = read(place)
    assert (found.server.address, found.slots, found.queues, found.name) == ("file:1", 3, ("f",), "file")
    assert found.labels == {"zone": "f"}
    environ = {
        "CROSSWIND_SERVER": "env:2",
        "CROSSWIND_SLOTS": "4",
        "CROSSWIND_QUEUE": "e1, e2",
        "CROSSWIND_NAME": "env",
        "CROSSWIND_LABEL": "zone=e,rack=7",
    }
    found = read(place, **environ)
    assert (found.server.address, found.slots, found.queues, found.name) == ("env:2", 4, ("e1", "e2"), "env")
    assert found.labels == {"zone": "e", "rack": "7"}
    flags = [
        "--server",
        "flag:3",
        "--slots",
        "5",
        "--queue",
        "a",
        "--queue",
        "b",
        "--name",
        "flag",
        "--label",
        "zone=g",
    ]
    found = read(place, *flags, **environ)
    assert (found.server.address, found.slots, found.queues, found.name) == ("flag:3", 5, ("a", "b"), "flag")
    assert found.labels == {"zone": "g"}


def test_a_worker_has_one_role_or_both(place):
    assert read(place).roles == ()
    assert read(place, "--role", "triggers").roles == ("triggers",)
    write_config(place, '[worker]\nrole = ["tasks", "triggers"]\n')
    assert read(place).roles == ("tasks", "triggers")
    with pytest.raises(SettingsError, match="a role is tasks or triggers"):
        read(place, "--role", "cook")


def test_a_config_of_a_parent_folder_counts_before_the_users(place):
    user = place.parent / "home" / ".config" / "crosswind"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("[worker]\nslots = 2\n")
    assert read(place).slots == 2
    write_config(place.parent, "[worker]\nslots = 7\n")
    assert read(place).slots == 7


def test_the_note_of_a_running_server_gives_address_and_token(place):
    state = place.parent / "home" / ".local" / "state" / "crosswind"
    write_note(state, address="127.0.0.1:1111", enrolment_token_file="/state/token")
    assert str(read(place).token_file) == "/state/token"
    write_note(place.parent / ".crosswind", address="127.0.0.1:2222", enrolment_token_file="enrolment", process_id=7)
    found = read(place)
    assert found.server.address == "127.0.0.1:2222"
    assert found.server.process_id == 7
    assert found.token_file == place.parent / ".crosswind" / "enrolment"


def test_the_note_of_a_server_with_tls_gives_its_certificate(place):
    tls = {"tls_certificate_file": "/home/server/certificate.pem", "tls_server_name": "crosswind.example"}
    write_note(place / ".crosswind", address="127.0.0.1:2222", **tls)
    found = read(place)
    assert (found.tls, str(found.tls_ca)) == (True, tls["tls_certificate_file"])
    assert found.tls_server_name == "crosswind.example"
    stated = read(place, "--tls-ca", "/mine.pem")
    assert (str(stated.tls_ca), stated.tls_server_name) == ("/mine.pem", "")
    assert read(place, "--tls").tls_ca is None
    assert not read(place, "--server", "elsewhere:1").tls


def test_a_note_gives_no_token_to_another_server(place):
    write_note(place / ".crosswind", address="127.0.0.1:2222", enrolment_token_file="/secret")
    assert read(place, "--server", "elsewhere:1").token_file is None
    assert str(read(place, "--server", "127.0.0.1:2222").token_file) == "/secret"


def test_half_a_note_is_no_note(place):
    (place / ".crosswind").mkdir()
    (place / ".crosswind" / "server.json").write_text('{"address": ')
    assert find_server(environ={"HOME": "/nowhere"}, working_directory=place).source == "the default"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("host", "host:8090"),
        ("host:1", "host:1"),
        ("::1", "[::1]:8090"),
        ("[::1]", "[::1]:8090"),
        ("[::1]:2", "[::1]:2"),
    ],
)
def test_an_address_gets_the_default_port(address, expected):
    assert with_port(address) == expected


def test_bundles_are_named_after_their_folder_or_as_told(place):
    found = read(place, "--dags", "dags", "--dags", "other=dags", "--bundle", "one.py")
    assert {source.name: source.path for source in found.bundles} == {
        "dags": place / "dags",
        "other": place / "dags",
        "one": place / "one.py",
    }


def test_a_packed_bundle_is_known_by_its_end_and_has_its_own_name(place):
    pack(place / "any.py", b"program", bundle="flights_go")
    found = read(place, "--bundle", "flights_go=any.py", "--bundle", "one.py")
    assert [(source.name, source.packed) for source in found.bundles] == [("flights_go", True), ("one", False)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dags", "missing"], "there is no folder"),
        (["--bundle", "missing.py"], "there is no file"),
        (["--bundle", "dags"], "is a folder"),
        (["--bundle", "binary"], "is neither a Python file (.py) nor a packed bundle"),
        (["--bundle", "damaged"], "damaged cannot be used: it is damaged: its checksum is another"),
        (["--bundle", "other=packed"], "is the bundle `kit`; the name of a packed bundle is in its code"),
        (["--bundle", "packed", "--bundle", "packed"], "there is a bundle `kit` already"),
        (["--dags", "dags", "--dags", "dags"], "there is a bundle `dags` already"),
        (["--dags", "bad name=dags"], "is no name for a bundle"),
        (["--slots", "0"], "slots are 1 to 10,000"),
        (["--slots", "many"], "--slots cannot be used"),
        (["--name", "a b"], "a worker's name is"),
        (["--label", "zone"], "is not KEY=VALUE"),
        (["--log-format", "xml"], "console, json"),
        (["--drain-timeout", "-1"], "number of seconds"),
    ],
)
def test_a_wrong_setting_is_one_sentence(place, arguments, sentence):
    (place / "binary").write_bytes(b"\x7fELF")
    (place / "binary").chmod(0o755)
    pack(place / "packed", b"program")
    (place / "damaged").write_bytes((place / "packed").read_bytes().replace(b"program", b"pr0gram"))
    with pytest.raises(SettingsError) as caught:
        read(place, *arguments)
    assert sentence in str(caught.value)
    assert arguments[0] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[worker]\nslot = 1\n", "no setting `slot`"),
        ("worker = 1\n", "not a table"),
        ("[worker\n", "not valid TOML"),
        ('[worker]\nslots = "x"\n', "slots in "),
        ("[worker]\nslots = [1, 2]\n", "takes one value"),
    ],
)
def test_a_wrong_file_is_one_sentence(place, text, sentence):
    write_config(place, text)
    with pytest.raises(SettingsError, match=r"crosswind\.toml") as caught:
        read(place)
    assert sentence in str(caught.value)


def test_help_shows_every_setting_with_variable_and_default(place, capsys):
    with pytest.raises(SystemExit) as caught:
        read(place, "--help")
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for flag in ("--server", "--token-file", "--dags", "--bundle", "--queue", "--slots", "--drain-timeout", "--tls-ca"):
        assert flag in shown
        assert "CROSSWIND_" + flag[2:].upper().replace("-", "_") in shown
    assert "127.0.0.1:8090" in shown


def test_a_worker_without_bundles_says_so(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place))
    assert main([]) == EXIT_SETTINGS
    assert "--dags" in capsys.readouterr().err

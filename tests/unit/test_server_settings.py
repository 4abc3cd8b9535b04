"""Where settings come from, in which order, and how a wrong one is explained."""

import os
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crosswind_server.commands import app
from crosswind_server.home import Home, HomeUnusable, read_keys
from crosswind_server.listening import StartRefused, is_loopback, split_address
from crosswind_server.settings import PlainSettings, ServerSettings, SettingsInvalid


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CROSSWIND_")]:
        monkeypatch.delenv(name)
    return tmp_path


def test_a_flag_goes_before_the_environment_and_that_before_the_file(folder, monkeypatch):
    (folder / "crosswind.toml").write_text(
        '[server]\naddress = "127.0.0.1:1"\ndb = "sqlite:///file.db"\nlease-duration = 60\n'
    )
    monkeypatch.setenv("CROSSWIND_ADDRESS", "127.0.0.1:2")
    monkeypatch.setenv("CROSSWIND_DB", "sqlite:///env.db")
    settings = ServerSettings.load(address="127.0.0.1:3", db=None)
    assert (settings.address, settings.db, settings.lease_duration) == ("127.0.0.1:3", "sqlite:///env.db", 60)
    assert settings.home == Path(".crosswind")


def test_the_file_is_found_above_and_may_be_named(folder, monkeypatch):
    (folder / "crosswind.toml").write_text("[server]\npoll_wait = 3\n")
    (folder / "other.toml").write_text("[server]\npoll_wait = 4\n")
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert ServerSettings.load().poll_wait == 3
    monkeypatch.setenv("CROSSWIND_CONFIG", str(folder / "other.toml"))
    assert ServerSettings.load().poll_wait == 4


def test_settings_of_a_server_inside_a_program_read_nothing(folder, monkeypatch):
    (folder / "crosswind.toml").write_text("[server]\npoll_wait = 3\n")
    monkeypatch.setenv("CROSSWIND_DB", "sqlite:///env.db")
    settings = PlainSettings(address="127.0.0.1:0")
    assert (settings.poll_wait, settings.db) == (20, "sqlite:///crosswind.db")


@pytest.mark.parametrize(
    ("flags", "table", "told"),
    [
        ({"db_readers": "many"}, "", "--db-readers"),
        ({"log_format": "xml"}, "", "CROSSWIND_LOG_FORMAT"),
        ({}, "listen = 1", "`listen`"),
        ({"tls_cert": "c.pem"}, "", "tls_key"),
        ({"lease_duration": "6", "heartbeat_interval": "5"}, "", "twice as long"),
        ({}, "poll_wait = ", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(folder, flags, table, told):
    (folder / "crosswind.toml").write_text(f"[server]\n{table}\n")
    with pytest.raises(SettingsInvalid, match=told) as refused:
        ServerSettings.load(**flags)
    assert "\n" not in str(refused.value)


def test_a_secret_is_never_repeated(monkeypatch):
    monkeypatch.setenv("CROSSWIND_ENCRYPTION_KEY", "not-a-key-SECRET")
    settings = ServerSettings.load()
    assert "SECRET" not in repr(settings)


@pytest.mark.parametrize("address", ["8090", "127.0.0.1", "127.0.0.1:99999", ":80", "host:port"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(StartRefused, match=r"127\.0\.0\.1:8090"):
        split_address(address)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db", False)],
)
def test_what_is_loopback(host, expected):
    assert is_loopback(host) is expected


def test_the_encryption_key_is_made_once_and_for_its_owner_only(folder):
    home = Home(folder / "home")
    keys = home.encryption_keys()
    assert home.encryption_keys() == keys
    assert stat.S_IMODE((folder / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "home" / "encryption-key").stat().st_mode) == 0o600
    assert len(keys[0]) == 32


@pytest.mark.parametrize("text", ["", "c2hvcnQ=", "not base64!", "\xff"])
def test_a_key_file_that_holds_no_key_is_explained(folder, text):
    file = folder / "keys"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(HomeUnusable, match="keys"):
        read_keys(file)


@pytest.mark.parametrize("command", [["start"], ["dev"]])
def test_help_names_every_setting_with_its_variable_of_the_environment(command):
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"}).output
    words = set(re.findall(r"[\w-]+", shown))
    for name in ServerSettings.model_fields:
        assert f"CROSSWIND_{name.upper()}" in words
        assert (f"--{name.replace('_', '-')}" in words) is (name != "encryption_key")
    assert "insecure" not in shown

"""Which server a command talks to, and with which token."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosswind.cli.failures import CommandError, ExitCode, usage_error
from crosswind.client.control_client import ControlClient
from crosswind.client.discovery import DEFAULT_ADDRESS, ConfigError, find_server, load_config
from crosswind.client.tls import Tls, read_tls

CLIENT_SETTINGS: dict[str, type] = {"server": str, "token_file": str, "tls": bool, "tls_ca": str}
# A machine may run workers too, and their tokens are others: CROSSWIND_TOKEN_FILE names an enrolment token.
TOKEN_VARIABLE = "CROSSWIND_ACCESS_TOKEN_FILE"
TRUE_WORDS = ("1", "true", "yes", "on")
NO_SERVER = (
    "No Crosswind server was found: `crosswind-server start` starts one, --server and --token-file name another."
)
NO_TOKEN = "No token for the server at {address} was found: name a file with an access token with --token-file."


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What a command line says about the server; None and False where it says nothing."""

    server: str | None = None
    token_file: Path | None = None
    tls: bool = False
    tls_ca: Path | None = None


def connect(stated: ServerOptions) -> ControlClient:
    """A client for the server that the options, the environment, a settings file or a running server name.

    Raises:
        CommandError: a settings file, the token file or a certificate cannot be read, or there is no token.
    """
    try:
        config, config_path = load_config()
        settings = client_settings(config, config_path)
        address = stated.server or os.environ.get("CROSSWIND_SERVER") or settings.get("server")
        location = find_server(flag=address)
    except ConfigError as error:
        raise usage_error(str(error)) from None
    token_file = stated.token_file or _file("token_file", settings, TOKEN_VARIABLE) or location.access_token_file
    if token_file is None:
        nothing_named = location.address == DEFAULT_ADDRESS and not address
        raise CommandError(
            NO_SERVER if nothing_named else NO_TOKEN.format(address=location.address), exit_code=ExitCode.UNREACHABLE
        )
    tls_ca = stated.tls_ca or _file("tls_ca", settings)
    tls: Tls | None = None
    if tls_ca is not None:
        tls = _read_tls(tls_ca, "--tls-ca")
    elif stated.tls or os.environ.get("CROSSWIND_TLS", settings.get("tls", "")).lower() in TRUE_WORDS:
        tls = Tls()
    elif location.tls_certificate_file is not None:
        tls = _read_tls(location.tls_certificate_file, "the server", server_name=location.tls_server_name)
    return ControlClient(location.address, token=read_token(token_file), tls=tls)


def client_settings(config: dict[str, Any], path: Path | None) -> dict[str, str]:
    """The table [client] of a settings file; a relative file is meant from its folder.

    Raises:
        CommandError: it holds something else.
    """
    table = config.get("client", {})
    if not isinstance(table, dict):
        raise usage_error(f"In {path}, `client` is no table: write [client] above {' and '.join(CLIENT_SETTINGS)}.")
    settings: dict[str, str] = {}
    for name, value in table.items():
        if name not in CLIENT_SETTINGS:
            raise usage_error(f"In {path}, [client] has no setting `{name}`; it has {', '.join(CLIENT_SETTINGS)}.")
        if not isinstance(value, CLIENT_SETTINGS[name]):
            kind = "true or false" if CLIENT_SETTINGS[name] is bool else "a text in quotes"
            raise usage_error(f"In {path}, `{name}` of [client] must be {kind}.")
        settings[name] = str(value)
    for name in ("token_file", "tls_ca"):
        if path is not None and name in settings:
            settings[name] = str(path.parent / Path(settings[name]).expanduser())
    return settings


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        CommandError: the file cannot be read, or holds no token.
    """
    try:
        token = path.expanduser().read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise CommandError(
            f"There is no token file {path}: name one with --token-file.", exit_code=ExitCode.UNREACHABLE
        ) from None
    except OSError as error:
        raise CommandError(
            f"The token file {path} cannot be read: {error.strerror}.", exit_code=ExitCode.UNREACHABLE
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not token or len(token.split()) != 1:
        raise CommandError(
            f"The file {path} holds no token: it must hold one token and nothing else.", exit_code=ExitCode.UNREACHABLE
        )
    return token


def _file(name: str, settings: Mapping[str, str], variable: str = "") -> Path | None:
    text = os.environ.get(variable or f"CROSSWIND_{name.upper()}") or settings.get(name)
    return Path(text) if text else None


def _read_tls(path: Path, owner: str, *, server_name: str = "") -> Tls:
    try:
        return read_tls(path, server_name=server_name)
    except OSError as error:
        raise usage_error(f"The certificates {path} of {owner} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise usage_error(f"The file {path} of {owner} {error}: name another with --tls-ca.") from None

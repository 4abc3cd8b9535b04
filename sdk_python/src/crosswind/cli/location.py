"""Which server a command talks to, and with which token."""

import os
from pathlib import Path
from typing import Any

from crosswind.cli.failures import CommandError, ExitCode, usage_error
from crosswind.client.control_client import ControlClient
from crosswind.client.discovery import DEFAULT_ADDRESS, ConfigError, find_server, load_config

NO_SERVER = (
    "No Crosswind server was found: `crosswind-server start` starts one, --server and --token-file name another."
)
NO_TOKEN = "No token for the server at {address} was found: name a file with an access token with --token-file."


def connect(*, server: str | None, token_file: Path | None) -> ControlClient:
    """A client for the server that the options, the environment, a settings file or a running server name.

    Args:
        server: what `--server` said.
        token_file: what `--token-file` said.

    Raises:
        CommandError: a settings file or the token file cannot be read, or there is no token.
    """
    try:
        config, config_path = load_config()
        settings = client_settings(config, config_path)
        stated = server or os.environ.get("CROSSWIND_SERVER") or settings.get("server")
        location = find_server(flag=stated)
    except ConfigError as error:
        raise usage_error(str(error)) from None
    file = token_file or _path(os.environ.get("CROSSWIND_TOKEN_FILE")) or _path(settings.get("token_file"))
    file = file or location.access_token_file
    if file is None:
        nothing_named = location.address == DEFAULT_ADDRESS and not stated
        raise CommandError(
            NO_SERVER if nothing_named else NO_TOKEN.format(address=location.address), exit_code=ExitCode.UNREACHABLE
        )
    return ControlClient(location.address, token=read_token(file))


def client_settings(config: dict[str, Any], path: Path | None) -> dict[str, str]:
    """The table [client] of a settings file: `server` and `token_file`; a relative file is meant from its folder.

    Raises:
        CommandError: it holds something else.
    """
    table = config.get("client", {})
    if not isinstance(table, dict):
        raise usage_error(f"In {path}, `client` is no table: write [client] above `server` and `token_file`.")
    for name, value in table.items():
        if name not in ("server", "token_file") or not isinstance(value, str):
            raise usage_error(f"In {path}, [client] may hold `server` and `token_file`, both text, and not `{name}`.")
    settings = {str(name): str(value) for name, value in table.items()}
    if path is not None and "token_file" in settings:
        settings["token_file"] = str(path.parent / Path(settings["token_file"]).expanduser())
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


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None

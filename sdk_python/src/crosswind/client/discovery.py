"""How a command finds its server without being told: settings files and the note that a server leaves while it runs.

Here belongs the search for the address, the token files and the certificate. A command's other settings are its own.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

DEFAULT_PORT: Final = 8090
DEFAULT_ADDRESS: Final = f"127.0.0.1:{DEFAULT_PORT}"
CONFIG_NAME: Final = "crosswind.toml"


class ConfigError(Exception):
    """A settings file that cannot be used; the message names it and what to change."""


@dataclass(frozen=True, kw_only=True)
class ServerLocation:
    """Where a server is.

    Args:
        address: `host:port`.
        source: where the address comes from, for people.
        access_token_file: holds a person's token. None: not known.
        enrolment_token_file: holds the token that a worker registers with. None: not known.
        process_id: of a server on this machine. None: not known.
        tls_certificate_file: what a server on this machine serves TLS with, and thus what to trust. None: not known.
        tls_server_name: what that certificate names, where it is not the address's host.
    """

    address: str
    source: str
    access_token_file: Path | None = None
    enrolment_token_file: Path | None = None
    process_id: int | None = None
    tls_certificate_file: Path | None = None
    tls_server_name: str = ""


def find_server(
    *, flag: str | None = None, environ: Mapping[str, str] | None = None, working_directory: Path | None = None
) -> ServerLocation:
    """Finds the server: flag, `CROSSWIND_SERVER`, settings file, then the note of a server on this machine.

    Where nothing is found, the default address: a server may be about to start there.

    Raises:
        ConfigError: a settings file cannot be read.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if working_directory is None else working_directory
    note = _find_note(here, environ)
    config, config_path = load_config(environ=environ, working_directory=here)
    stated = [
        (flag, "--server"),
        (environ.get("CROSSWIND_SERVER"), "CROSSWIND_SERVER"),
        (config.get("server") if isinstance(config.get("server"), str) else None, str(config_path)),
    ]
    for value, source in stated:
        if value:
            address = with_port(value)
            # The rest of the note is of use only where the note is about the same server.
            if note is not None and note.address == address:
                return replace(note, source=source)
            return ServerLocation(address=address, source=source)
    return note or ServerLocation(address=DEFAULT_ADDRESS, source="the default")


def with_port(address: str) -> str:
    """`host` or `host:port` as `host:port`; IPv6 addresses stand in brackets where they carry a port."""
    if address.startswith("["):
        return address if "]:" in address else f"{address}:{DEFAULT_PORT}"
    if address.count(":") > 1:
        return f"[{address}]:{DEFAULT_PORT}"
    return address if ":" in address else f"{address}:{DEFAULT_PORT}"


def load_config(
    *, environ: Mapping[str, str] | None = None, working_directory: Path | None = None
) -> tuple[dict[str, Any], Path | None]:
    """Reads the first settings file: `crosswind.toml` here or in a parent, then the user's.

    Returns:
        Its content and its path; nothing and None where there is no such file.

    Raises:
        ConfigError: it cannot be read or is not TOML.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if working_directory is None else working_directory
    candidates = [folder / CONFIG_NAME for folder in _upwards(here)]
    candidates.append(_base(environ, "XDG_CONFIG_HOME", ".config") / "crosswind" / "config.toml")
    for path in candidates:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8")), path
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"The settings file {path} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"The settings file {path} is not valid TOML: {error}.") from error
    return {}, None


def state_home(environ: Mapping[str, str] | None = None) -> Path:
    """The folder in which this user's programs keep state: `$XDG_STATE_HOME`, or `~/.local/state`."""
    return _base(os.environ if environ is None else environ, "XDG_STATE_HOME", ".local/state")


def _find_note(here: Path, environ: Mapping[str, str]) -> ServerLocation | None:
    paths = [folder / ".crosswind" / "server.json" for folder in _upwards(here)]
    paths.append(state_home(environ) / "crosswind" / "server.json")
    for path in paths:
        try:
            note = json.loads(path.read_bytes())
            address = with_port(str(note["address"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not there, not ours to read, or half of a note: as if it were not there
        return ServerLocation(
            address=address,
            source=str(path),
            access_token_file=_file(note, "access_token_file", path),
            enrolment_token_file=_file(note, "enrolment_token_file", path),
            process_id=note["process_id"] if isinstance(note.get("process_id"), int) else None,
            tls_certificate_file=_file(note, "tls_certificate_file", path),
            tls_server_name=str(note.get("tls_server_name", "")),
        )
    return None


def _file(note: Mapping[str, Any], key: str, note_path: Path) -> Path | None:
    value = note.get(key)
    # A relative path is meant from the folder of the note.
    return note_path.parent / value if isinstance(value, str) and value else None


def _upwards(here: Path) -> Iterator[Path]:
    here = here.absolute()
    yield here
    yield from here.parents


def _base(environ: Mapping[str, str], variable: str, default: str) -> Path:
    stated = environ.get(variable, "")
    if stated and os.path.isabs(stated):
        return Path(stated)
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / default

"""The worker's settings: flag, then environment, then settings file, then default; all shown by --help.

Here belongs reading them. Finding the server belongs to `client/discovery.py`, using them to `worker_command.py`.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crosswind import __version__
from crosswind.client.discovery import ConfigError, ServerLocation, find_server, load_config, state_home
from crosswind.runtime.bundles import BundleSource
from crosswind.runtime.packed_bundle import PackedBundleDamaged, is_packed, read_packed

DEFAULT_SLOTS: Final = 4 * (os.cpu_count() or 1)
_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_BUNDLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,250}")
_LABEL: Final = re.compile(r"(?P<key>[^=\s]+)=(?P<value>.*)")
ROLES: Final = ("tasks", "triggers")
"""What a worker can do."""


class SettingsError(Exception):
    """A setting that cannot be used; the message names it and where it came from."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """All of a worker's settings.

    Args:
        server: where the server is.
        token_file: holds the enrolment token. None: none is known.
        bundles: folders and files of DAGs, and packed bundles.
        queues: to serve. Empty: `default`.
        roles: what the worker does, "tasks" and "triggers". Empty: tasks.
        slots: tasks at the same time, 1 to 10,000.
        name: of the worker. Empty: made up, and kept in the state folder.
        state_dir: the state folder. None: one below `workers_dir`.
        workers_dir: the folder of all state folders of this user.
        labels: that tasks select by.
        log_format: "console" or "json".
        log_level: of the worker's own log, such as "info".
        drain_timeout: how long tasks may take when the worker stops, in seconds. None: as long as they take.
        import_timeout: how long importing a bundle may take, or a packed one until it serves, in seconds.
        tls: whether to speak TLS.
        tls_ca: certificates of the authorities to trust. None: the system's.
        tls_server_name: what the server's certificate is to name. Empty: the host that is dialled.
        fsync: force outcomes onto the disk before they are sent.
    """

    server: ServerLocation
    token_file: Path | None
    bundles: tuple[BundleSource, ...]
    queues: tuple[str, ...]
    roles: tuple[str, ...]
    slots: int
    name: str
    state_dir: Path | None
    workers_dir: Path
    labels: Mapping[str, str]
    log_format: str
    log_level: str
    drain_timeout: float | None
    import_timeout: float
    tls: bool
    tls_ca: Path | None
    tls_server_name: str
    fsync: bool


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """One setting in all its spellings.

    Args:
        key: in the settings file; with dashes it is the flag, in capitals the end of the environment variable.
        read: turns its text into a value; raises ValueError with what is wrong.
        help: for --help.
        default: where nobody says anything.
        shown: the default for --help, where it is not `default` itself.
        many: whether it may be given several times.
        metavar: for --help. None: it is a switch.
    """

    key: str
    read: Callable[[str], Any]
    help: str
    default: Any = None
    shown: str = ""
    many: bool = False
    metavar: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        return "CROSSWIND_" + self.key.upper()


def read_settings(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    working_directory: Path | None = None,
) -> WorkerSettings:
    """Reads the settings.

    Raises:
        SettingsError: one of them cannot be used.
        SystemExit: --help or --version was asked for, or a flag is unknown.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd() if working_directory is None else working_directory
    flags = vars(_parser().parse_args(arguments))
    try:
        config, config_path = load_config(environ=environ, working_directory=here)
        server = find_server(flag=flags["server"], environ=environ, working_directory=here)
    except ConfigError as error:
        raise SettingsError(str(error)) from error
    table = config.get("worker", {})
    if not isinstance(table, dict):
        raise SettingsError(f"In {config_path}, `worker` is not a table: write the worker's settings below [worker].")
    unknown = sorted(set(table) - {setting.key for setting in _SETTINGS})
    if unknown:
        raise SettingsError(
            f"In {config_path}, [worker] has no setting `{unknown[0]}`; it has "
            f"{', '.join(setting.key for setting in _SETTINGS if setting.key != 'server')}."
        )
    values = {
        setting.key: _choose(setting, flags[setting.key], environ, table, str(config_path)) for setting in _SETTINGS
    }
    stated_server = flags["server"] or environ.get("CROSSWIND_SERVER")
    if not stated_server and isinstance(table.get("server"), str):
        server = find_server(flag=table["server"], environ=environ, working_directory=here)
    token_file: Path | None = values["token_file"] or server.enrolment_token_file
    tls, tls_ca, tls_server_name = values["tls"], values["tls_ca"], ""
    if not tls and tls_ca is None and server.tls_certificate_file is not None:
        # A server on this machine; its own certificate is the authority then.
        tls_ca, tls_server_name = server.tls_certificate_file, server.tls_server_name
    sources = _read_sources(values["dags"], values["bundle"], here)
    return WorkerSettings(
        server=server,
        token_file=None if token_file is None else here / token_file,
        bundles=sources,
        queues=tuple(values["queue"]),
        roles=tuple(dict.fromkeys(values["role"])),
        slots=values["slots"],
        name=values["name"],
        state_dir=None if values["state_dir"] is None else here / values["state_dir"],
        workers_dir=state_home(environ) / "crosswind" / "workers",
        labels=dict(values["label"]),
        log_format=values["log_format"],
        log_level=values["log_level"],
        drain_timeout=values["drain_timeout"] or None,
        import_timeout=values["import_timeout"],
        tls=tls or tls_ca is not None,
        tls_ca=tls_ca,
        tls_server_name=tls_server_name,
        fsync=values["fsync"],
    )


def default_name_prefix() -> str:
    """What the name of a worker without a given one begins with: the host and `python`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", platform.node() or "host")[:80] + "-python"


def _choose(
    setting: _Setting, flag: Any, environ: Mapping[str, str], table: Mapping[str, Any], config_path: str
) -> Any:
    if flag is not None and flag is not False and flag != []:
        stated, source = flag, setting.flag
    elif environ.get(setting.variable):
        text = environ[setting.variable]
        stated, source = [part.strip() for part in text.split(",")] if setting.many else text, setting.variable
    elif setting.key in table:
        stated, source = table[setting.key], f"{setting.key} in {config_path}"
    else:
        return [] if setting.many and setting.default is None else setting.default
    if isinstance(stated, dict):
        stated = [f"{key}={value}" for key, value in stated.items()]
    texts = stated if isinstance(stated, list) else [stated]
    if len(texts) != 1 and not setting.many:
        raise SettingsError(f"{source} is a list; it takes one value.")
    try:
        values = [setting.read(str(text)) for text in texts if str(text)]
    except ValueError as error:
        raise SettingsError(f"{source} cannot be used: {error}.") from error
    return values if setting.many else values[0] if values else setting.default


def _read_sources(folders: Sequence[str], files: Sequence[str], here: Path) -> tuple[BundleSource, ...]:
    sources: dict[str, BundleSource] = {}
    for text, is_folder in [(text, True) for text in folders] + [(text, False) for text in files]:
        name, path = _split_source(text, here)
        flag = "--dags" if is_folder else "--bundle"
        if not path.exists():
            raise SettingsError(f"{flag} {text}: there is no {'folder' if is_folder else 'file'} {path}.")
        if path.is_dir() and not is_folder:
            raise SettingsError(f"{flag} {text}: {path} is a folder; name folders of DAG files with --dags.")
        packed = None if is_folder else _read_packed(flag, text, path)
        if packed is not None:
            if name not in ("", packed):
                raise SettingsError(
                    f"{flag} {text}: {path} is the bundle `{packed}`; the name of a packed bundle is in its code, so "
                    f"give it as {flag} {path}."
                )
            name = packed
        name = name or (path.resolve().name if path.is_dir() else path.stem)
        if not _BUNDLE_NAME.fullmatch(name):
            raise SettingsError(
                f"{flag} {text}: `{name}` is no name for a bundle; give it one, as in {flag} NAME={path}."
            )
        if name in sources:
            raise SettingsError(
                f"{flag} {text}: there is a bundle `{name}` already ({sources[name].path}); give one of them another "
                f"name, as in {flag} NAME={path}."
            )
        sources[name] = BundleSource(name=name, path=path, packed=packed is not None)
    return tuple(sources.values())


def _read_packed(flag: str, text: str, path: Path) -> str | None:
    """The name of a packed bundle. None: it is a Python file.

    Raises:
        SettingsError: it is neither.
    """
    try:
        if is_packed(path):
            return read_packed(path).manifest.bundle
    except PackedBundleDamaged as error:
        raise SettingsError(f"{flag} {text}: {path} cannot be used: {error}.") from error
    except OSError as error:
        raise SettingsError(f"{flag} {text}: {path} cannot be read: {error.strerror}.") from error
    if path.suffix == ".py":
        return None
    raise SettingsError(
        f"{flag} {text}: {path} is neither a Python file (.py) nor a packed bundle. A bundle in Go is packed with "
        f"crosswind-go-pack."
    )


def _split_source(text: str, here: Path) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if separator and not (here / text).exists():
        return name, (here / path).absolute()
    return "", (here / text).absolute()


def _read_slots(text: str) -> int:
    slots = int(text)
    if not 1 <= slots <= 10_000:
        raise ValueError("slots are 1 to 10,000")
    return slots


def _read_seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise ValueError("a time is a number of seconds, 0 or more")
    return value


def _read_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a worker's name is 1 to 100 letters, digits and _.@-")
    return text


def _read_role(text: str) -> str:
    if text not in ROLES:
        raise ValueError("a role is tasks or triggers")
    return text


def _read_label(text: str) -> tuple[str, str]:
    match = _LABEL.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not KEY=VALUE")
    return match["key"], match["value"]


def _read_switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("it is true or false")


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return text.lower()

    return read


_SETTINGS: Final = (
    _Setting(
        key="server",
        read=str,
        metavar="HOST:PORT",
        help="the server",
        shown="the one that runs here, or 127.0.0.1:8090",
    ),
    _Setting(
        key="token_file",
        read=Path,
        metavar="FILE",
        help="holds an enrolment token",
        shown="that of the server that runs here",
    ),
    _Setting(
        key="dags", read=str, many=True, metavar="DIR", help="folder of DAG files, a bundle named after it, or NAME=DIR"
    ),
    _Setting(
        key="bundle",
        read=str,
        many=True,
        metavar="FILE",
        help="packed bundle, or DAG file that is a bundle of its own, or NAME=FILE",
    ),
    _Setting(key="queue", read=_read_name, many=True, metavar="NAME", help="queue to serve", shown="default"),
    _Setting(
        key="role",
        read=_read_role,
        many=True,
        metavar="ROLE",
        help="what it runs: tasks, or triggers of deferred tasks; twice for both",
        shown="tasks",
    ),
    _Setting(key="slots", read=_read_slots, default=DEFAULT_SLOTS, metavar="N", help="tasks at the same time"),
    _Setting(
        key="name",
        read=_read_name,
        default="",
        metavar="NAME",
        help="of the worker, unique",
        shown="made up, kept in the state folder",
    ),
    _Setting(
        key="state_dir",
        read=Path,
        metavar="DIR",
        help="keeps token and outcomes",
        shown="$XDG_STATE_HOME/crosswind/workers/NAME",
    ),
    _Setting(
        key="label", read=_read_label, many=True, metavar="KEY=VALUE", help="label that tasks select by", shown="none"
    ),
    _Setting(
        key="log_format",
        read=_one_of("console", "json"),
        default="console",
        metavar="console|json",
        help="of the worker's log",
    ),
    _Setting(
        key="log_level",
        read=_one_of("debug", "info", "warning", "error"),
        default="info",
        metavar="LEVEL",
        help="of the worker's log: debug, info, warning or error",
    ),
    _Setting(
        key="drain_timeout",
        read=_read_seconds,
        metavar="SECONDS",
        help="for running tasks when the worker stops; then they are ended and given to others",
        shown="as long as they take",
    ),
    _Setting(
        key="import_timeout",
        read=_read_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for importing a bundle, or until a packed one serves",
    ),
    _Setting(key="tls", read=_read_switch, default=False, help="speak TLS, trusting the system's authorities"),
    _Setting(
        key="tls_ca",
        read=Path,
        metavar="FILE",
        help="speak TLS, trusting these authorities (PEM)",
        shown="the system's",
    ),
    _Setting(
        key="fsync", read=_read_switch, default=False, help="force outcomes onto the disk, against loss of power too"
    ),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crosswind-worker",
        description="Runs tasks of Crosswind DAGs on this machine.",
        epilog="Every setting may also stand in the environment, as shown, or in the [worker] table of crosswind.toml "
        "(here or in a parent folder) or ~/.config/crosswind/config.toml. A flag wins over the environment, which wins "
        "over the file. SIGTERM or Ctrl-C drains; a second one ends the running tasks. Exit codes: 0 drained, 2 wrong "
        "settings, 3 refused by the server.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"crosswind-worker {__version__}")
    for setting in _SETTINGS:
        default = setting.shown or ("" if setting.default in (None, "", False) else str(setting.default))
        notes = [
            setting.variable,
            *([f"default: {default}"] if default else []),
            *(["repeatable"] if setting.many else []),
        ]
        text = f"{setting.help} [{'; '.join(notes)}]".replace("%", "%%")
        if setting.metavar is None:
            parser.add_argument(setting.flag, dest=setting.key, action="store_true", help=text)
        else:
            action = "append" if setting.many else "store"
            parser.add_argument(setting.flag, dest=setting.key, action=action, metavar=setting.metavar, help=text)
    return parser

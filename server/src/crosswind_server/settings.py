"""The server's settings: flags, then `CROSSWIND_...` of the environment, then the table [server] of a TOML file.

Here belong names, types, defaults and what people read about them. What a duration means belongs to `timing`.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from crosswind_server.listening import Listening
from crosswind_server.timing import Timing

CONFIG_NAME: Final = "crosswind.toml"
CONFIG_VARIABLE: Final = "CROSSWIND_CONFIG"
ENV_PREFIX: Final = "CROSSWIND_"
_DEFAULTS: Final = Timing()


class SettingsInvalid(Exception):
    """A setting cannot be used; the message names it and where it came from."""


class ServerSettings(BaseSettings):
    """Everything that an operator can set. Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    db: str = Field(
        "sqlite:///crosswind.db",
        description="Address of the database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
    )
    db_readers: int = Field(4, ge=1, le=64, description="Connections that answer reads, beside the one that writes.")
    address: str = Field(
        "127.0.0.1:8090", description="Where to listen, HOST:PORT; port 0 takes a free one. Off loopback TLS is needed."
    )
    home: Path = Field(
        Path(".crosswind"), description="Folder for the server's keys, token files and server.json, made 0700."
    )
    tls_cert: Path | None = Field(None, description="PEM file with the certificate chain to serve TLS with.")
    tls_key: Path | None = Field(None, description="PEM file with the private key of --tls-cert.")
    encryption_key_file: Path | None = Field(
        None,
        description="File with the keys that seal secrets, one base64 line each, the current one first."
        " Default: encryption-key in the home folder, made at the first start.",
    )
    encryption_key: SecretStr | None = Field(
        None, description="The key itself, 32 bytes in base64. For the environment only: a flag is seen by everyone."
    )
    log_format: Literal["console", "json"] = Field("console", description="How the server's own log is written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severity that the server's own log shows; debug shows every call."
    )
    stop_grace: float = Field(10.0, ge=0, description="When stopping: how long running calls may take to end.")
    min_ping_interval: float = Field(
        5.0, gt=0, description="HTTP/2 pings of idle clients may come this often without being cut off."
    )
    server_keepalive: float = Field(60.0, gt=0, description="The server pings idle clients this often.")
    heartbeat_interval: float = Field(_DEFAULTS.heartbeat_interval, gt=0, description="Between a worker's heartbeats.")
    lease_duration: float = Field(
        _DEFAULTS.lease_duration, gt=0, description="A lease that is not extended expires after this."
    )
    start_deadline: float = Field(
        _DEFAULTS.start_deadline, gt=0, description="From the assignment of a task to its start by the worker."
    )
    poll_wait: float = Field(_DEFAULTS.poll_wait, gt=0, description="A poll without work is answered after this.")
    keepalive_interval: float = Field(
        _DEFAULTS.keepalive_interval, gt=0, description="What workers are told about their HTTP/2 pings."
    )
    backoff_initial: float = Field(
        _DEFAULTS.backoff_initial, gt=0, description="First delay of a client that cannot reach the server."
    )
    backoff_max: float = Field(_DEFAULTS.backoff_max, gt=0, description="Longest such delay.")
    log_flush_interval: float = Field(
        _DEFAULTS.log_flush_interval, gt=0, description="Workers ship task logs at the latest after this."
    )
    move_away_grace: float = Field(
        _DEFAULTS.move_away_grace,
        gt=0,
        description="When stopping: how long at most workers may still end what they hold.",
    )
    version_window_months: int = Field(
        24, ge=1, le=1200, description="How long an API version is to be served after the next one was released."
    )
    metrics_address: str | None = Field(
        None,
        description="Where to answer GET /metrics for Prometheus, HOST:PORT; port 0 takes a free one. Default: off.",
    )
    metrics_open: bool = Field(
        False, description="Let --metrics-address be one that other machines reach, although anybody can read it there."
    )
    longest_sleep: float = Field(
        _DEFAULTS.longest_sleep, gt=0, description="The timekeeper looks at its clock at least this often."
    )

    @field_validator("home", "tls_cert", "tls_key", "encryption_key_file")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together; give both or neither")
        self.timing()
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the TOML file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_table(find_config()))

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings, with the flags that were given; None is one that was not.

        Raises:
            SettingsInvalid: a value cannot be used.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise SettingsInvalid(explain(error)) from None

    def timing(self) -> Timing:
        """The durations that the server keeps and tells. Raises `ValueError`."""
        return Timing(**{name: getattr(self, name) for name in Timing.__slots__})

    def listening(self) -> Listening:
        """Where to listen. Raises `SettingsInvalid`: a TLS file cannot be read, or is not what it is to be."""
        if self.tls_cert is not None and self.tls_key is not None:
            _check_pair(self.tls_cert, self.tls_key)
        return Listening(
            address=self.address,
            tls_certificate=_read(self.tls_cert, "tls_cert"),
            tls_key=_read(self.tls_key, "tls_key"),
            min_ping_interval=self.min_ping_interval,
            keepalive=self.server_keepalive,
        )


class PlainSettings(ServerSettings):
    """Settings from arguments only, for a server inside another program: no environment, no file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The arguments."""
        return (init_settings,)


def find_config() -> Path | None:
    """The TOML file: what CROSSWIND_CONFIG names, else crosswind.toml in this folder or the nearest one above it."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    here = Path.cwd()
    return next((file for folder in (here, *here.parents) if (file := folder / CONFIG_NAME).is_file()), None)


def read_table(path: Path | None) -> dict[str, Any]:
    """The table [server] of a TOML file. Raises `SettingsInvalid`."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get("server", {})
    except OSError as error:
        raise SettingsInvalid(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"The settings file {path} is not TOML: {error}.") from None
    if not isinstance(table, dict):
        raise SettingsInvalid(f"In {path}, `server` is not a table; write [server] above the server's settings.")
    return {str(name).replace("-", "_"): value for name, value in table.items()}


def explain(error: ValidationError) -> str:
    """What is wrong with a setting, in one sentence; a value that may be a secret is not repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    what = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if not name:
        return f"The settings do not fit together: {what}."
    if first["type"] == "extra_forbidden":
        return f"There is no setting `{name}`; `crosswind-server start --help` lists them all."
    flag = "--" + name.replace("_", "-")
    places = f"{flag}, {ENV_PREFIX}{name.upper()}, or [server] in {CONFIG_NAME}"
    return f"The setting `{name}` ({places}) is not usable: {what}."


def _read(path: Path | None, name: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        flag = "--" + name.replace("_", "-")
        raise SettingsInvalid(f"The file {path} of {flag} cannot be read: {error.strerror}.") from None


def _check_pair(certificate: Path, key: Path) -> None:
    # Both are read before, so that a file that cannot be is told from one that holds something else.
    _read(certificate, "tls_cert")
    _read(key, "tls_key")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError):
        raise SettingsInvalid(
            f"The files {certificate} of --tls-cert and {key} of --tls-key are not a certificate and its private key in"
            " PEM, the key without a passphrase."
        ) from None

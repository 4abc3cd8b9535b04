"""The server's home folder: its encryption key, token files and server.json, readable by their owner only.

Here belong the files and their modes. What the keys seal belongs to `services.sealing`, what tokens say to
`services.tokens`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crosswind_server.services.access.sealing import KEY_BYTES, make_key

ENCRYPTION_KEY: Final = "encryption-key"
ACCESS_TOKEN: Final = "access-token"
ENROLMENT_TOKEN: Final = "enrolment-token"
SERVER_FILE: Final = "server.json"


class HomeUnusable(Exception):
    """A file of the home folder cannot be used; the message names it and the way out."""


class Home:
    """The folder of one server."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be. Raises `HomeUnusable`."""
        self.folder = folder.absolute()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeUnusable(
                f"The home folder {self.folder} cannot be made: {error.strerror}; name another with --home."
            ) from None

    @property
    def access_token_file(self) -> Path:
        """An administrator's token, for commands on this machine."""
        return self.folder / ACCESS_TOKEN

    @property
    def enrolment_token_file(self) -> Path:
        """A token for workers on this machine."""
        return self.folder / ENROLMENT_TOKEN

    def encryption_keys(self) -> Sequence[bytes]:
        """The keys that seal secrets, made at the first call. Raises `HomeUnusable`."""
        path = self.folder / ENCRYPTION_KEY
        if not path.exists():
            line = base64.b64encode(make_key()) + b"\n"
            # Two servers that start at once must not each use a key of their own: the first file stays.
            with contextlib.suppress(FileExistsError):
                temporary = self._write_aside(path, line)
                try:
                    os.link(temporary, path)
                finally:
                    temporary.unlink()
        return read_keys(path)

    def write(self, path: Path, text: str) -> None:
        """Write a file that its owner only may read, whole or not at all. Raises `HomeUnusable`."""
        self._write_aside(path, text.encode()).replace(path)

    def announce(self, address: str, *, tls_certificate: Path | None, tls_server_name: str = "") -> None:
        """Write server.json, here and where commands of this user look from any folder. Raises `HomeUnusable`.

        Args:
            address: that this machine dials.
            tls_certificate: PEM file with the certificate that is served; None for no TLS.
            tls_server_name: a name that it holds, where that is not the address's host.
        """
        facts = {
            "address": address,
            "process_id": os.getpid(),
            "access_token_file": str(self.access_token_file),
            "enrolment_token_file": str(self.enrolment_token_file),
        }
        if tls_certificate is not None:
            facts["tls_certificate_file"] = str(tls_certificate.absolute())
        if tls_server_name:
            facts["tls_server_name"] = tls_server_name
        text = json.dumps(facts, indent=2) + "\n"
        self.write(self.folder / SERVER_FILE, text)
        pointer = user_pointer()
        try:
            pointer.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.write(pointer, text)
        except (OSError, HomeUnusable):
            # A user without a writable home of its own, such as a service's, finds the server by its address.
            return

    def withdraw(self) -> None:
        """Remove what `announce` wrote, unless another server has written over it."""
        for path in (self.folder / SERVER_FILE, user_pointer()):
            with contextlib.suppress(OSError, ValueError):
                if json.loads(path.read_text())["process_id"] == os.getpid():
                    path.unlink()

    def _write_aside(self, path: Path, data: bytes) -> Path:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HomeUnusable(f"The file {path} cannot be written: {error.strerror}.") from None
        return temporary


def user_pointer() -> Path:
    """Where this user's commands find the server that was started last."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "crosswind" / SERVER_FILE


def read_keys(path: Path) -> Sequence[bytes]:
    """The keys in a file, one base64 line each, the current one first. Raises `HomeUnusable`."""
    try:
        lines = path.read_text().split()
    except OSError as error:
        raise HomeUnusable(f"The encryption key file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        lines = ["?"]
    if not lines:
        raise HomeUnusable(f"The encryption key file {path} is empty; it holds one key a line, the current one first.")
    return [parse_key(line, f"A line of the encryption key file {path}") for line in lines]


def parse_key(text: str, what: str) -> bytes:
    """A key in base64. Raises `HomeUnusable`."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise HomeUnusable(
            f"{what} is not a key of {KEY_BYTES} bytes in base64; make one with `openssl rand -base64 {KEY_BYTES}`."
        )
    return key

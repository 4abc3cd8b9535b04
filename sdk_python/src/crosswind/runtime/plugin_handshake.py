"""The handshake of hashicorp/go-plugin, from the side that starts the process: its environment, and its first line.

What is said once hands are shaken belongs to `plugin_process.py`. docs/protocol.md has the whole of it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from crosswind.runtime.environments import plugin_environment

CORE_VERSION: Final = "1"
"""Of go-plugin's handshake itself."""
PLUGIN_VERSIONS: tuple[str, ...] = ("1",)
"""In which this worker can use `BundleService`; a bundle takes the highest one that it serves too."""
LINE_BYTES: Final = 4096
"""The longest first line."""
_COOKIE_KEY: Final = "CROSSWIND_BUNDLE_COOKIE"
_COOKIE: Final = "9d1c4c1e-6d1a-4ef1-9a3f-4f0a5d8a7c0b"
_SHOWN_CHARACTERS: Final = 200
# The kernel takes 107; the rest is left for what a bundle may append to a socket's name.
_SOCKET_PATH_BYTES: Final = 103
_LONGEST_NAME: Final = "/crosswind-12345678/plugin1234567890"


class HandshakeFailed(Exception):
    """A process did not shake hands; the message says why, in a sentence without a full stop."""


def make_environment(folder: Path) -> dict[str, str]:
    """The environment of a bundle's process.

    Args:
        folder: for its sockets.
    """
    return {
        **plugin_environment(),
        _COOKIE_KEY: _COOKIE,
        "PLUGIN_PROTOCOL_VERSIONS": ",".join(PLUGIN_VERSIONS),
        "PLUGIN_UNIX_SOCKET_DIR": str(folder),
    }


def make_socket_folder() -> Path:
    """Makes a folder for sockets that nobody else can enter, with a path that is short enough for them.

    Raises:
        OSError: there is no place for it.
    """
    problem: OSError | None = None
    for base in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp"):
        if not base or len(os.fsencode(base)) + len(_LONGEST_NAME) > _SOCKET_PATH_BYTES:
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="crosswind-", dir=base))
        except OSError as error:
            problem = error
    raise problem or OSError(0, "every folder for temporary files has too long a path")


def read_handshake(line: bytes, folder: Path) -> str:
    """Reads the first line of a process.

    Args:
        line: without its end.
        folder: where its socket is to be.

    Returns:
        The path of the socket on which it serves gRPC.

    Raises:
        HandshakeFailed: it says something else.
    """
    text = line.decode(errors="replace").strip()
    parts = text.split("|")
    if len(parts) < 4:
        raise HandshakeFailed(
            f"it printed {text[:_SHOWN_CHARACTERS]!r} to standard output before its handshake; a bundle prints nothing "
            f"before it serves"
        )
    core, version, network, address, protocol, certificate, *_ = [*parts, "", ""]
    if core != CORE_VERSION:
        raise HandshakeFailed(f"it speaks version {core[:20]} of go-plugin's handshake, and this worker 1")
    if version not in PLUGIN_VERSIONS:
        raise HandshakeFailed(
            f"it serves version {version[:20]} of the plugin, and this worker speaks {', '.join(PLUGIN_VERSIONS)}: "
            f"upgrade the older of the two"
        )
    if protocol != "grpc":
        raise HandshakeFailed(f"it speaks {protocol[:20] or 'netrpc'}, and this worker gRPC")
    if certificate:
        raise HandshakeFailed("it serves TLS, although the worker sent no certificate")
    if network != "unix":
        raise HandshakeFailed(f"it serves on {network[:20]} {address[:100]}, and must on a Unix socket")
    path = Path(address)
    if path.parent != folder:
        raise HandshakeFailed(f"its socket {address[:200]} is not in the folder that it was given")
    return str(path)

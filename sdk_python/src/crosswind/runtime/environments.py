"""What of its environment a worker hands on: nearly all to its Python children, a short list to packed bundles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

# What only the worker is to know.
_WITHHELD: Final = frozenset(("CROSSWIND_TOKEN_FILE", "CROSSWIND_TOKEN", "CROSSWIND_ACCESS_TOKEN_FILE"))
# As docs/protocol.md names them, "Bundles as plugins".
_PLUGIN_NAMES: Final = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"),
    )
)


def python_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a Python child: the worker's, without its tokens."""
    return {name: value for name, value in environ.items() if name not in _WITHHELD}


def plugin_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a packed bundle's process: only what a program needs to find its way on a machine."""
    return {name: value for name, value in environ.items() if name in _PLUGIN_NAMES or name.startswith("LC_")}

"""What of its environment a worker hands on: what only it is to know stays with it.

What a bundle's process gets besides belongs to `plugin_handshake.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def python_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a Python child: the worker's, without its tokens."""
    return {name: value for name, value in environ.items() if not _is_token(name)}


def plugin_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The same for a packed bundle's process, which is not to take the worker for a go-plugin process itself."""
    return {name: value for name, value in python_environment(environ).items() if not name.startswith("PLUGIN_")}


def _is_token(name: str) -> bool:
    return name.startswith("CROSSWIND_") and "TOKEN" in name

"""Secrets that people give to a command: from a prompt, a pipe or a file, never from the command line."""

import getpass
import sys
from pathlib import Path

from crosswind.cli.failures import usage_error


def read_secret(prompt: str) -> str:
    """Asks for a secret without showing it; reads it from standard input where that is no terminal.

    One line break at the end is not part of it.
    """
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ")
    return _without_line_break(sys.stdin.read())


def read_secret_file(path: Path) -> str:
    """Reads a secret from a file; `-` is standard input. One line break at the end is not part of it.

    Raises:
        CommandError: the file cannot be read.
    """
    if str(path) == "-":
        return _without_line_break(sys.stdin.read())
    try:
        return _without_line_break(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise usage_error(f"The file {path} cannot be read: {error}.") from None


def _without_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")

"""Where in the author's files something was written.

Here belongs finding the author's frame. How a location is shown in a manifest is `manifest.py`'s.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Location(NamedTuple):
    """A line of a source file.

    Args:
        file: path, as Python reports it.
        line: from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def is_ours(file: str) -> bool:
    """Whether a source file belongs to this package rather than to the author."""
    return file.startswith(_PACKAGE)


def find_location() -> Location:
    """The innermost line on the stack that is not this package's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (is_ours(frame.f_code.co_filename) or _is_generated(frame.f_code.co_filename)):
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno)


def _is_generated(file: str) -> bool:
    """Frames without a file of their own, such as `<string>` of a dataclass and frozen modules like contextlib's."""
    return file.startswith("<frozen ") or file == "<string>" or file.endswith(f"{os.sep}contextlib.py")

"""`crosswind run`: a DAG file on a server in this process, its tasks on the main thread, for breakpoints."""

from pathlib import Path
from typing import Annotated

import typer


def run_file(file: Annotated[Path, typer.Argument()]) -> None:
    """Placeholder."""

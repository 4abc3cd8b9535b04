"""`python -m codegen.compat` writes docs/versions.md; with `--check` it compares it, and fails on what is uncovered."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from codegen.compat.changelog import changelog
from codegen.compat.coverage import uncovered
from crosswind_server.versions.history import HistoryBroken
from crosswind_server.versions.releases import server_history

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "versions.md"


def main() -> int:
    """Return the exit code: 0, or 1 where something is uncovered or the page is not what it should be."""
    parser = argparse.ArgumentParser(description="Write docs/versions.md from the API versions.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on what is uncovered, or out of date")
    check: bool = parser.parse_args().check
    history = server_history()
    try:
        findings = uncovered(history)
        page = "" if findings else changelog(history)
    except HistoryBroken as broken:
        print(broken, file=sys.stderr)
        return 1
    if findings and not check:
        print(f"docs/{PAGE.name} is as it was: not every difference is covered yet. `make versions-check` says which.")
        return 0
    if findings:
        print(
            "Older clients would run into what is listed here. The CHANGES of an API version stand in"
            " server/src/crosswind_server/versions/v<date>.py; CONTRIBUTING.md walks through a change.",
            file=sys.stderr,
        )
        for finding in findings:
            print(f"* {finding}", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        print(f"docs/{PAGE.name} is not what the API versions say. Run `make gen` and commit it.", file=sys.stderr)
        return 1
    versions = ", ".join(str(version) for version in history.versions)
    print(f"API version{'s' if len(history.versions) > 1 else ''} {versions}: every difference is covered")
    return 0


if __name__ == "__main__":
    sys.exit(main())

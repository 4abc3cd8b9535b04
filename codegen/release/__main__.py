"""The commands behind `make release-api`, `make rebuild-release`, `make release-check` and `make next-version`."""

from __future__ import annotations

import argparse
import sys

from codegen.release.records import ReleaseError


def main() -> int:
    """Return the exit code: 0, or 1 where it cannot be done, with a sentence why."""
    parser = argparse.ArgumentParser(description="Freeze API versions, and build their artifacts again.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("freeze", help="freeze the newest version")
    commands.add_parser("check", help="check that what is frozen is what it was")
    for name, what in (("rebuild", "build the artifacts of a frozen version"), ("next", "begin a new version")):
        commands.add_parser(name, help=what).add_argument("version", metavar="YYYY-MM-DD")
    arguments = parser.parse_args()
    try:
        print(_run(arguments.command, getattr(arguments, "version", "")))
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(command: str, version: str) -> str:
    # Imported here, because building artifacts needs nothing of the server, and freezing does.
    if command == "rebuild":
        from codegen.release.artifacts import rebuild

        return f"The artifacts of API version {version} are in {rebuild(version)}, each as it was frozen."
    if command == "next":
        from codegen.release.next_version import begin

        return begin(version)
    from codegen.release import freezing

    return freezing.freeze() if command == "freeze" else freezing.check()


if __name__ == "__main__":
    sys.exit(main())

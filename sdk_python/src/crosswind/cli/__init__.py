"""The people's command `crosswind`. Needs the extra `cli`; what it calls is `crosswind.client.control_client`."""

import os
import sys

MISSING_EXTRA = "The command `crosswind` needs typer and rich: pip install 'crosswind-sdk[cli]'"


def main() -> None:
    """Runs the command with the arguments of this process and exits: see `application.run` for the exit codes."""
    # The client reports each failure itself, in one sentence; grpc's own lines on stderr would stand around it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import rich  # noqa: F401  # only whether it is there
        import typer  # noqa: F401  # only whether it is there
    except ImportError:
        print(MISSING_EXTRA, file=sys.stderr)
        sys.exit(2)
    from crosswind.cli.application import run

    sys.exit(run(sys.argv[1:]))

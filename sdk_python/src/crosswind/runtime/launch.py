"""The start of `crosswind-worker`: what must be so before gRPC is imported. The command is `worker_command.py`."""

from __future__ import annotations

import os
from typing import Final

_VERBOSITY: Final = "GRPC_VERBOSITY"


def main() -> int:
    """Runs the command with the arguments of this process: see `worker_command.main` for the exit codes."""
    # The worker reports each failure itself, in one sentence; gRPC's own lines on stderr would stand around it.
    ours = _VERBOSITY not in os.environ
    if ours:
        os.environ[_VERBOSITY] = "NONE"
    import grpc.aio

    from crosswind.runtime import worker_command

    if ours:
        # It is read here at the latest. Tasks inherit the environment, and may want these lines.
        grpc.aio.init_grpc_aio()
        del os.environ[_VERBOSITY]
    return worker_command.main()

"""`python -m tests.compat.lab`: serve the laboratory until standard input ends.

It prints one line of JSON: the address, and the metadata that opens it to a call.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict

import structlog

from tests.compat.lab.history import lab_history
from tests.compat.lab.server import serve_lab


def main() -> None:
    """Serve."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    with serve_lab(lab_history()) as lab:
        print(json.dumps(asdict(lab)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

"""The server's own log: structlog in front, the standard library's handlers behind, so that all modules share it.

It goes to standard error. What tasks write is no part of it.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog


def configure(*, form: Literal["console", "json"], level: str) -> None:
    """Set up logging for this process, once, before anything logs."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=30)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if level == "debug" else level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Debug is for our own modules: those of others print what they send and receive.
    for name in ("crosswind", "crosswind_server"):
        logging.getLogger(name).setLevel(level.upper())

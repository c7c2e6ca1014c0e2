"""Logging of the commands that run for a while."""

from __future__ import annotations

import logging
import sys

import structlog


def log_to_stderr(least: int = logging.INFO) -> None:
    """Log lines of this level and above: for people at a terminal, JSON lines elsewhere."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Looked up for each line: a logger that kept the stream could write to one that has been closed.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    # It logs a refresh that was interrupted by closing as an error.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)

"""Logging of the commands that run for a while."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from settings.hiding import hidden


def log_to_stderr(least: int = logging.INFO, *, clients: bool = False) -> None:
    """Log lines of this level and above: for people at a terminal, JSON lines elsewhere.

    clients: the errors of Kafka's client too, for a log that nobody watches.
    """
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
            _without_secrets,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Looked up for each line: a logger that kept the stream could write to one that has been closed.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    logging.getLogger("kafka").setLevel(logging.ERROR if clients else logging.CRITICAL)
    # It logs a refresh that was interrupted by closing as an error.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)


class _OneLine(logging.Formatter):
    """Without the traceback of an exception that a library has caught, and with its text."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = f"{record.name}: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        return hidden(line if error is None else f"{line} ({type(error).__name__}: {error})")


def _without_secrets(_logger: object, _method: str, line: Any) -> str:  # noqa: ANN401 - what the renderer returned
    return hidden(line)

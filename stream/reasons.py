"""Why kafka-python could not connect: it raises only that it could not, and says why in its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import KafkaTimeoutError


class Reason(logging.Filter):
    """Keeps the last error that was logged; lets through what would have been logged without it."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level
        self.last: Exception | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at a record on its way."""
        for argument in record.args if isinstance(record.args, tuple) else ():
            # That it gave up in the end is no reason.
            if isinstance(argument, Exception) and not isinstance(argument, KafkaTimeoutError):
                self.last = argument
        return record.levelno >= self._level


@contextmanager
def reason() -> Iterator[Reason]:
    """The reason for what fails in here."""
    log = logging.getLogger("kafka.net.manager")
    level, kept = log.level, Reason(log.getEffectiveLevel())
    log.addFilter(kept)
    log.setLevel(logging.WARNING)
    try:
        yield kept
    finally:
        log.setLevel(level)
        log.removeFilter(kept)

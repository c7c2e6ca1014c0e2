"""Why kafka-python could not connect: its exception does not contain the cause, its log does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import KafkaTimeoutError, RequestTimedOutError

# A timeout is what was raised, not its cause. It also ends the attempt that is under way when the time is up.
_TIMEOUTS = (KafkaTimeoutError, RequestTimedOutError)


class LastError(logging.Filter):
    """Keeps the last exception that was logged; passes records of `level` and above on."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level
        self.last: Exception | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the exception that a record contains; whether the record is logged."""
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, Exception) and not isinstance(argument, _TIMEOUTS):
                self.last = argument
        return record.levelno >= self._level


@contextmanager
def connection_error() -> Iterator[LastError]:
    """Collect what kafka-python logs about connections within this context: `last` is the cause of a failure."""
    log = logging.getLogger("kafka.net.manager")
    level, error = log.level, LastError(log.getEffectiveLevel())
    log.addFilter(error)
    # The cause is logged as a warning, also where the program shows errors only.
    log.setLevel(logging.WARNING)
    try:
        yield error
    finally:
        log.setLevel(level)
        log.removeFilter(error)

"""Finding the one record that a step fails on, so that it becomes a dead letter and the others go on.

A step answers a record that it cannot use with a rejection. This is for what nobody foresaw: the step raises an error.
The batch is then read again in halves, until the record stands alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import structlog

from stream.records import Cause, Received, Rejected

log = structlog.get_logger()

_Place = tuple[str, int, int]


class Isolation:
    """How many records to read at once, and which ones the step has failed on."""

    def __init__(self, consumer: str, most_records: int) -> None:
        self.most_records = most_records
        self._consumer = consumer
        self._usual = most_records
        self._failing: dict[_Place, str] = {}

    def failed(self, received: Sequence[Received], error: Exception) -> None:
        """The step raised this error for these records; they will be read again."""
        reason = f"{type(error).__name__}: {error}"[:500]
        # No traceback with its values: these may be secret.
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None
        kind = type(error).__name__
        log.error("the step failed", consumer=self._consumer, records=len(received), error=kind, where=where)
        if len(received) == 1:
            self._failing[_place(received[0])] = f"the step of {self._consumer} failed ({reason})"
        self.most_records = max(1, len(received) // 2)

    def without_failing(self, received: Sequence[Received]) -> tuple[Sequence[Received], list[Rejected]]:
        """The records that the step is given, and those that it has failed on."""
        if not self._failing:
            return received, []
        failing = [
            Rejected(one, self._failing[_place(one)], Cause.FAILED) for one in received if _place(one) in self._failing
        ]
        return [one for one in received if _place(one) not in self._failing], failing

    def passed(self) -> None:
        """The step has taken a batch; the next one may be larger again."""
        self.most_records = min(self._usual, 2 * self.most_records)


def _place(received: Received) -> _Place:
    return received.topic, received.partition, received.offset

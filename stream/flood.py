"""A flood of dead letters: most of what a consumer reads cannot be used, so something else than the records is wrong.

A consumer stops then, with a line that says why, instead of turning a whole topic into dead letters.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from errors import Fatal
from stream.records import Rejected

_WINDOW_S = 60.0


class FloodGuard:
    """Counts what one consumer has read in the last minute. clock: seconds, monotonic."""

    def __init__(self, consumer: str, most_dead_letters: int, clock: Callable[[], float] = time.monotonic) -> None:
        """most_dead_letters: so many in a minute are too many, where they are most of the records."""
        self._consumer = consumer
        self._most = most_dead_letters
        self._clock = clock
        self._counts: deque[tuple[float, int, int]] = deque()
        # Their sums, which each batch asks for.
        self._read, self._dead = 0, 0

    def check(self, records: int, rejected: Sequence[Rejected]) -> None:
        """Look at a batch that is not counted yet. Raises Fatal in a flood."""
        while self._counts and self._counts[0][0] < self._clock() - _WINDOW_S:
            _, read, dead = self._counts.popleft()
            self._read -= read
            self._dead -= dead
        read, dead = self._read + records, self._dead + len(rejected)
        if rejected and dead >= self._most and 2 * dead > read:
            # Where it is: the reason may quote what the record holds, which no log is to have.
            last = rejected[-1].consumed
            raise Fatal(
                f"{self._consumer} stopped: {dead:,} of the {read:,} records of the last minute would be dead letters, "
                f"the last one {last.topic} {last.partition}/{last.offset}; facestream dead-letters shows why those "
                "before it are. If all of them are to become dead letters, raise "
                "FACESTREAM_KAFKA__MOST_DEAD_LETTERS and start it again"
            )

    def count(self, records: int, rejected: Sequence[Rejected]) -> None:
        """Count a batch that is committed: one that is not is read again."""
        self._counts.append((self._clock(), records, len(rejected)))
        self._read += records
        self._dead += len(rejected)

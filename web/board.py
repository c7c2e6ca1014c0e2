"""How the archive is doing, for the page of operators: looked at once for all who have the page open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime

from catalogue.reader import Counts
from errors import Fatal
from settings import KafkaSettings
from stream.standing import Standing, standing_reader

# Whoever asks again sooner gets what was seen last.
_FRESH_S = 1.0
# A rate is between two looks that are not further apart, and a connection that was idle for longer is made again.
_LONGEST_S = 60.0
# Where a broker does not answer, those who ask meanwhile wait no longer than this.
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Look:
    """What there was at one moment.

    read_per_s, counted_per_s: of each consumer and each count, how many a second since the look before; empty for the
    first look, and after a pause.
    """

    at: datetime
    standing: Standing
    counts: Mapping[str, int]
    read_per_s: Mapping[str, float]
    counted_per_s: Mapping[str, float]


class Board:
    """Looks at Kafka and the catalogue when somebody asks. Any thread may ask. Close it at the end."""

    def __init__(self, kafka: KafkaSettings, counts: Callable[[], Counts], now: Callable[[], datetime]) -> None:
        self._kafka = kafka
        self._counts = counts
        self._now = now
        self._lock = threading.Lock()
        self._connections = ExitStack()
        self._read: Callable[[], Standing] | None = None
        self._last: Look | None = None
        self._looked_at = 0.0

    def look(self) -> Look:
        """What there is, at most a second old. Raises FacestreamError or psycopg.Error where it cannot be read."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise Fatal("the broker does not answer")
        try:
            age = time.monotonic() - self._looked_at
            if self._last is None or age >= _FRESH_S:
                self._last = self._look_again(self._last if age <= _LONGEST_S else None)
                self._looked_at = time.monotonic()
            return self._last
        except BaseException:
            self._disconnect()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connections; where somebody waits for the broker over them, they end with the process."""
        if self._lock.acquire(timeout=_PATIENCE_S):
            self._disconnect()
            self._lock.release()

    def _look_again(self, before: Look | None) -> Look:
        if before is None:
            self._disconnect()
        if self._read is None:
            self._read = self._connections.enter_context(standing_reader(self._kafka))
        standing, counts = self._read(), asdict(self._counts())
        seconds = time.monotonic() - self._looked_at
        return Look(
            at=self._now(),
            standing=standing,
            counts=counts,
            read_per_s=_rates(standing.read_since(before.standing), seconds) if before else {},
            counted_per_s=_rates({name: it - before.counts[name] for name, it in counts.items()}, seconds)
            if before
            else {},
        )

    def _disconnect(self) -> None:
        self._read, self._last = None, None
        self._connections.close()


def _rates(changes: Mapping[str, int], seconds: float) -> dict[str, float]:
    return {name: change / seconds for name, change in changes.items()}

"""Holding a consumer back, so that others have the broker and the machine while it reads a whole topic."""

from __future__ import annotations

import threading
import time

from errors import Retriable


class Pace:
    """So many records a second at most; without a rate, as many as there are."""

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._next = time.monotonic()

    def take(self, records: int) -> None:
        """Wait until so many records may be taken. Raises Retriable where `stop` is set meanwhile."""
        if self._rate is None:
            return
        wait_s = self._next - time.monotonic()
        if wait_s > 0 and self._stop.wait(wait_s):
            raise Retriable("stopped while it was held back")
        self._next = max(self._next, time.monotonic()) + records / self._rate

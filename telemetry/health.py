"""Whether a process is alive and ready, for whoever restarts it or sends it work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# A member that waits for a broker that has gone turns slowly; it is not to be killed for that.
TURNS_WITHIN_S = 120.0


class Health:
    """Alive while its loop turns; ready once its state is restored, and as a standby, unless it waits for a service.

    Any thread may ask, and say what is so.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned_at = clock()
        self._is_ready = False
        self._waits_for: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def turned(self) -> None:
        """The loop has turned once more."""
        self._turned_at = self._clock()

    def ready(self) -> None:
        """The state is restored, or none is needed."""
        self._is_ready = True

    def not_ready(self) -> None:
        """The state is being restored."""
        self._is_ready = False

    def waits(self, service: str, does: bool) -> None:
        """Whether it waits for this service, by any name: until then it is not ready."""
        with self._lock:
            self._waits_for = self._waits_for | {service} if does else self._waits_for - {service}

    @property
    def is_alive(self) -> bool:
        """Whether the loop has turned in the last two minutes."""
        return self._clock() - self._turned_at < TURNS_WITHIN_S

    @property
    def is_ready(self) -> bool:
        """Whether the state is restored, no service is waited for, and the loop turns."""
        return self._is_ready and not self._waits_for and self.is_alive


health = Health()
"""That of this process."""

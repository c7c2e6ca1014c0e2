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
        self._watched: dict[str, Callable[[], bool]] = {}
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

    def watch(self, service: str, is_away: Callable[[], bool] | None) -> None:
        """Ask this whenever readiness is asked for, also while the loop waits for an answer. None: no more."""
        with self._lock:
            others = {name: ask for name, ask in self._watched.items() if name != service}
            self._watched = others if is_away is None else {**others, service: is_away}

    @property
    def is_alive(self) -> bool:
        """Whether the loop has turned in the last two minutes."""
        return self._clock() - self._turned_at < TURNS_WITHIN_S

    @property
    def is_ready(self) -> bool:
        """Whether the state is restored, no service is waited for, and the loop turns."""
        is_waiting = bool(self._waits_for) or any(is_away() for is_away in self._watched.values())
        return self._is_ready and not is_waiting and self.is_alive


health = Health()
"""That of this process."""

"""Which stores are unavailable, when each is tried again, and which failures are due to the scan. Pure.

A store that refuses connections, or a folder that is not mounted, is unavailable at once; one that fails otherwise is
after failing to deliver several scans in a row. A scan is given up only where the fault is its own: after some
attempts, while its store delivers others, or begins to deliver this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.stores.errors import Cause

MOST_FAILURES = 5
"""A store that fails to deliver so many scans in a row is unavailable."""

MOST_ATTEMPTS = 3
"""A scan that failed so often is given up, where the fault is its own."""

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 300.0


@dataclass
class Attempts:
    """The attempts to fetch one scan: how many failed, and what its store had done before the first of them."""

    store: str
    failures: int = 0
    delivered_before: int = 0
    recoveries_before: int = 0


@dataclass
class _Store:
    delivered: int = 0
    recoveries: int = 0
    failures_in_row: int = 0
    rounds: int = 0
    due: float = 0.0
    reason: str = ""
    unavailable: bool = False


@dataclass
class Outages:
    """The stores that failed lately. Times are seconds of a monotonic clock."""

    _stores: dict[str, _Store] = field(default_factory=dict)

    def is_unavailable(self, store: str) -> bool:
        """Whether the store's scans wait, all but one that is tried now and then."""
        return store in self._stores and self._stores[store].unavailable

    def is_due(self, store: str, time: float) -> bool:
        """Whether the store is to be tried again."""
        return store not in self._stores or time >= self._stores[store].due

    def due_in(self, store: str, time: float) -> float:
        """Seconds until the store is tried again."""
        return max(0.0, self._stores[store].due - time) if store in self._stores else 0.0

    def reason(self, store: str) -> str:
        """The store's latest failure."""
        return self._stores[store].reason if store in self._stores else ""

    def delivered(self, store: str, time: float) -> bool:
        """The store has delivered a scan, or has answered that there is none. Whether it was unavailable before."""
        known = self._stores.get(store)
        if known is None:
            return False
        was_unavailable, known.unavailable = known.unavailable, False
        known.delivered += 1
        known.failures_in_row = 0
        if was_unavailable:
            known.rounds, known.due = 0, time
            known.recoveries += 1
        return was_unavailable

    def failed(self, attempts: Attempts, cause: Cause, reason: str, *, tried: bool = True) -> bool:
        """A scan was not delivered. Whether the fault is the scan's own, so that it is given up."""
        store = self._stores.setdefault(attempts.store, _Store())
        store.reason = reason
        if not tried:
            return False
        if cause == "store":
            store.unavailable = True
            return False
        if attempts.failures == 0 or attempts.recoveries_before != store.recoveries:
            # What failed while the store was unavailable is no fault of the scan.
            attempts.failures, attempts.delivered_before = 0, store.delivered
            attempts.recoveries_before = store.recoveries
            store.failures_in_row += 1
            store.unavailable = store.unavailable or store.failures_in_row >= MOST_FAILURES
        attempts.failures += 1
        if attempts.failures < MOST_ATTEMPTS:
            return False
        # Since its first failure, the store has delivered others.
        return store.delivered > attempts.delivered_before or (cause == "scan" and not store.unavailable)

    def postpone(self, store: str, time: float) -> float:
        """The next attempt is later: twice as late each time. Returns in how many seconds it is."""
        known = self._stores[store]
        delay = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(known.rounds, 30))
        known.rounds += 1
        known.due = time + delay
        return delay

    def forget_all_but(self, stores: set[str]) -> None:
        """Keep only these stores: those that scans wait for."""
        self._stores = {name: store for name, store in self._stores.items() if name in stores}

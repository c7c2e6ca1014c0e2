"""Publishing files one after the other: the outage of a store is waited out, and files of other stores go first.

A file that could not be read only because its store was unavailable would be published without its checksum and pages,
and `detect` could not use it later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import TypeVar

from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.outages import Attempts, Outages
from models.stores.stores import Stores
from producers.files import Source

Result = TypeVar("Result")

_LONGEST_WAIT_S = 0.5


class PatientStores:
    """Fetches for a feed, and lets it wait for stores that are unavailable.

    report: is called with a line for a person whenever a store is waited for, and when it answers again. clock:
    seconds, monotonic.
    """

    def __init__(
        self, stores: Stores, stop: Event, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stores = stores
        self._stop = stop
        self._report = report
        self._clock = clock
        self._outages = Outages()
        self._given_up: dict[str, str] = {}

    def fetch(self, uri: str) -> bytes:
        """As `Stores.fetch`. A scan whose own fault it is that it did not arrive is unavailable."""
        if reason := self._given_up.get(uri):
            raise UnavailableImage(reason)
        return self._stores.fetch(uri)

    def in_turn(self, sources: Sequence[Source], publish: Callable[[Source], Result]) -> Iterator[Result]:
        """What `publish` returns for each file, in their order but for those whose store is waited for.

        Those follow when their store answers again. Ends early when `stop` is set.
        """
        waiting = [(source, Attempts(self._stores.store_of(source.uri))) for source in sources]
        while waiting and not self._stop.is_set():
            now, postponed = self._clock(), []
            for source, attempts in waiting:
                if self._stop.is_set():
                    return
                if self._is_tried(attempts, now):
                    try:
                        result = publish(source)
                    except StoreUnavailable as error:
                        self._failed(source, attempts, error)
                    else:
                        if self._outages.delivered(attempts.store, now):
                            self._report(f"{attempts.store} answers again")
                        yield result
                        continue
                postponed.append((source, attempts))
            waiting = postponed
            self._outages.forget_all_but({attempts.store for _, attempts in waiting})
            if waiting:
                due_in = min(self._outages.due_in(attempts.store, self._clock()) for _, attempts in waiting)
                self._stop.wait(min(due_in, _LONGEST_WAIT_S))

    def _is_tried(self, attempts: Attempts, round_began: float) -> bool:
        is_first = attempts.failures == 0 and not self._outages.is_unavailable(attempts.store)
        return is_first or self._outages.is_due(attempts.store, round_began)

    def _failed(self, source: Source, attempts: Attempts, error: StoreUnavailable) -> None:
        if self._outages.failed(attempts, error.cause, error.reason):
            self._given_up[source.uri] = error.reason
        elif self._outages.is_due(attempts.store, self._clock()):
            delay = self._outages.postpone(attempts.store, self._clock())
            self._report(f"waiting for {attempts.store}: {error.reason} (next attempt in {delay:g} s)")

"""The step of detect: scans in, analyses out. Scans whose store is unavailable wait here, while others are analysed.

The offsets of waiting scans are not committed, so that none is lost: after a restart, reading begins again at the first
of them, and what was read since is analysed a second time, with the same result.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event

import structlog

from consumers.workers import Outcome, Unreached, Unusable
from errors import Retriable
from models.stores.outages import Attempts, Outages
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import FACES, Tombstone
from schemas.uris import without_credentials
from stream import waits
from stream.records import Cause, Output, Positions, Received, Rejected

log = structlog.get_logger()

Analyse = Callable[[Sequence[ScanPublished]], Sequence[Outcome]]
"""Analyses scans: an outcome for each, in their order."""

MOST_WAITING = 10_000
"""With so many scans waiting, no more are read. Each takes some 3 KB of memory."""

MOST_WAITING_BYTES = 64 * 2**20
"""Nor with so many bytes of records: a scan may have megabytes of metadata."""

# Waiting scans of a store that answers again, in one batch.
_TRIED_AT_ONCE = 16


class Detection:
    """Analyses the scans of some partitions. One caller at a time.

    store_of: the store of a uri. stop: set when this process has to end. clock: seconds, monotonic.
    """

    def __init__(
        self,
        analyse: Analyse,
        store_of: Callable[[str], str],
        stop: Event,
        clock: Callable[[], float] = time.monotonic,
        most_waiting: int = MOST_WAITING,
        most_waiting_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self._analyse = analyse
        self._store_of = store_of
        self._stop = stop
        self._clock = clock
        self._most_waiting = most_waiting
        self._most_waiting_bytes = most_waiting_bytes
        self._outages = Outages()
        # By scan id, in the order of arrival: a later record of the same scan takes the place of an earlier one.
        self._waiting: dict[str, tuple[Received, Attempts]] = {}

    @property
    def waiting(self) -> int:
        """How many scans wait for their stores."""
        return len(self._waiting)

    def waiting_scans(self) -> list[str]:
        """The ids of the scans that wait for their stores."""
        return list(self._waiting)

    def step(self, batch: Sequence[Received]) -> list[Output]:
        """Analyse scans and pass withdrawals on, in the order of the batch; first what is due of those that wait.

        Raises Retriable when `stop` is set while too many scans wait.
        """
        outputs: list[Output] = []
        while self._waiting and self._would_be_too_many(batch):
            outputs += self._process(self._due())
            if self._stop.wait(0.2):
                raise Retriable("stopped while scans wait for their stores")
        return outputs + self._process([*self._due(), *batch])

    def idle(self, metadata: str) -> tuple[list[Output], str]:
        """Try again what is due, see `stream.records.Idle`. The checkpoint metadata is what is waited for."""
        del metadata
        due = self._due()
        return (self._process(due) if due else []), self._waits()

    def hold(self, positions: Positions) -> Positions:
        """The offsets that may be committed: none after a scan that waits."""
        first: dict[tuple[str, int], int] = {}
        for record, _ in self._waiting.values():
            partition = (record.topic, record.partition)
            first[partition] = min(record.offset, first.get(partition, record.offset))
        return {partition: min(offset, first.get(partition, offset)) for partition, offset in positions.items()}

    def _would_be_too_many(self, batch: Sequence[Received]) -> bool:
        records = [*(record for record, _ in self._waiting.values()), *batch]
        return len(records) > self._most_waiting or sum(map(_bytes, records)) > self._most_waiting_bytes

    def _process(self, records: Sequence[Received]) -> list[Output]:
        now = self._clock()
        tried = [record for record in records if isinstance(record.message, ScanPublished) and self._is_tried(record)]
        outcomes = dict(zip(map(id, tried), self._analyse([_scan(record) for record in tried]), strict=True))
        outputs: list[Output] = []
        failed: dict[str, None] = {}
        for record in records:
            outcome = outcomes.get(id(record))
            waited = self._waiting.pop(_scan_id(record), None)
            attempts = waited[1] if waited and waited[0] is record else None
            if isinstance(record.message, Tombstone):
                outputs.append(Tombstone(FACES, record.message.key))
                continue
            store = self._store_of(_scan(record).uri)
            if outcome is None:
                self._waiting[_scan_id(record)] = (record, attempts or Attempts(store))
            elif isinstance(outcome, Unreached):
                attempts = attempts if attempts and attempts.store == outcome.store else Attempts(outcome.store)
                if self._outages.failed(attempts, outcome.cause, outcome.reason, tried=outcome.tried):
                    shown = without_credentials(_scan(record).uri)
                    reason = f"{shown}: {outcome.reason} (tried {attempts.failures} times)"
                    outputs.append(Rejected(record, reason, Cause.SCAN))
                else:
                    self._waiting[_scan_id(record)] = (record, attempts)
                failed[outcome.store] = None
            else:
                if self._outages.delivered(store, now):
                    log.info("the store answers again", store=store)
                outputs.append(_output(record, outcome))
        self._postpone(failed)
        self._outages.forget_all_but({attempts.store for _, attempts in self._waiting.values()})
        return outputs

    def _is_tried(self, record: Received) -> bool:
        """Whether a scan is fetched now. Those that `_due` has chosen are; a new one waits with others of its store."""
        if _scan_id(record) in self._waiting and self._waiting[_scan_id(record)][0] is record:
            return True
        return not self._outages.is_unavailable(self._store_of(_scan(record).uri))

    def _due(self) -> list[Received]:
        """The waiting scans to try now: of an unavailable store one, not the same each time, of others some."""
        now = self._clock()
        chosen: dict[str, list[tuple[Received, Attempts]]] = {}
        for record, attempts in self._waiting.values():
            if self._outages.is_due(attempts.store, now):
                chosen.setdefault(attempts.store, []).append((record, attempts))
        due: list[Received] = []
        for store, waiting in chosen.items():
            waiting.sort(key=lambda entry: entry[1].failures)
            due += [record for record, _ in waiting[: 1 if self._outages.is_unavailable(store) else _TRIED_AT_ONCE]]
        return due

    def _postpone(self, stores: Iterable[str]) -> None:
        waiting = self._counts()
        for store in stores:
            if waiting[store] and self._outages.is_due(store, self._clock()):
                delay = self._outages.postpone(store, self._clock())
                log.warning(
                    "waiting for a store",
                    store=store,
                    reason=self._outages.reason(store),
                    scans=waiting[store],
                    next_attempt_s=delay,
                )

    def _counts(self) -> Mapping[str, int]:
        return Counter(attempts.store for _, attempts in self._waiting.values())

    def _waits(self) -> str:
        counts = self._counts().items()
        return waits.encode(
            waits.Wait(store=store, scans=scans, reason=self._outages.reason(store) or "not tried yet")
            for store, scans in counts
        )


def _output(record: Received, outcome: ScanAnalysed | Unusable) -> Output:
    return Rejected(record, outcome.reason, Cause.SCAN) if isinstance(outcome, Unusable) else outcome


def _scan(record: Received) -> ScanPublished:
    assert isinstance(record.message, ScanPublished)
    return record.message


def _bytes(record: Received) -> int:
    return len(record.record.value or b"")


def _scan_id(record: Received) -> str:
    message = record.message
    assert isinstance(message, ScanPublished | Tombstone)
    return message.key

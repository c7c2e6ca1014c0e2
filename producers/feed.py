"""The scan feed: publishes scans to Kafka, each once, however often the same folder is given.

It makes a scan that is published again keep its age and the ids of its faces. `producers.files` lists the scans,
`producers.identity` decides whether one is new, unchanged, changed or moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from errors import UserError
from models.stores.stores import Fetch
from producers.files import Source, scans_of
from producers.identity import Outcome, Verdict, identify
from producers.kept import with_faces
from producers.known import KnownScans, known_scans
from producers.publisher import Publisher
from schemas.scans import ScanPublished
from schemas.topics import SCANS, Tombstone
from settings import KafkaSettings
from telemetry import metrics

__all__ = ["Feed", "Outcome", "Summary"]


@dataclass(frozen=True)
class Summary:
    """The number of scans of each outcome.

    copies: how many of those published or already there have the content of another scan, whose file is there too.
    """

    published: int = 0
    already_there: int = 0
    changed: int = 0
    moved: int = 0
    refused: int = 0
    copies: int = 0

    @property
    def scans(self) -> int:
        """The number of all scans given to the feed."""
        return self.published + self.already_there + self.changed + self.moved + self.refused


class Feed:
    """Publishes scans with an idempotent producer. Use it as a context manager.

    It knows the scans that are on `scans` when it is made (committed records), by way of an index in the data folder
    `folder`; without one it reads all of `scans`, and of `faces` where a scan changed. A scan that is there with the
    same content, uri, page, collection and metadata is not published again. A scan that changed, or whose file moved,
    is published with the time it was first published at, and with the faces to keep as `faces` has them at `flush`.
    After `flush`, and at the end of the context, the broker has confirmed all scans. `replacing`: scans replace those
    with the same id from other places, which are refused otherwise.

    Raises errors.Fatal, naming the broker, when it does not answer or does not confirm what was published.
    """

    def __init__(
        self, kafka: KafkaSettings, now: Callable[[], datetime], folder: Path | None = None, *, replacing: bool = False
    ) -> None:
        self._kafka = kafka
        self._folder = folder
        self._replacing = replacing
        self._known = known_scans(kafka, folder)
        self._changed: dict[str, ScanPublished] = {}
        # Changed scans whose metadata the caller does not know.
        self._undescribed: set[str] = set()
        self._outcomes: Counter[Outcome] = Counter()
        self._copies = 0
        self._publisher = Publisher(
            kafka, now, "scans", "publish the same again when it answers: what it has is not published twice"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._publisher.close()
            self._known.close()

    @property
    def summary(self) -> Summary:
        """The number of scans of each outcome so far."""
        counts = self._outcomes
        return Summary(
            counts[Outcome.PUBLISHED],
            counts[Outcome.ALREADY_THERE],
            counts[Outcome.CHANGED],
            counts[Outcome.MOVED],
            counts[Outcome.REFUSED],
            self._copies,
        )

    @property
    def known(self) -> KnownScans:
        """The published scans, those included that wait for `flush`."""
        return self._known

    def sources_in_order(self, sources: Iterable[Source]) -> list[Source]:
        """Files at places without a scan first: one of them may be a scan that moved away from another file's place."""
        return sorted(sources, key=lambda source: bool(self._known.at_place(source.uri)))

    def publish(self, scan: ScanPublished, *, named: bool = True, described: bool = True) -> Verdict:
        """Send a scan to Kafka if it is new, hold it back until `flush` if it changed or moved, else skip it.

        `named` and `described` are as in `producers.identity.identify`. The verdict has the id under which the scan is
        published.
        """
        verdict = identify(self._known, scan, named=named, described=described, replacing=self._replacing)
        match verdict.outcome:
            case Outcome.PUBLISHED:
                self._send(verdict.scan)
            case Outcome.CHANGED | Outcome.MOVED:
                self._changed[verdict.scan.scan_id] = verdict.scan
                if not described:
                    self._undescribed.add(verdict.scan.scan_id)
                self._known.add(verdict.scan)
        self._outcomes[verdict.outcome] += 1
        self._copies += verdict.copy_of is not None
        return verdict

    def publish_file(self, source: Source, now: Callable[[], datetime], fetch: Fetch) -> list[Verdict]:
        """Publish the scans of a file. Raises UserError when its scheme is not read here, and StoreUnavailable."""
        return [
            self.publish(scan, named=source.is_named, described=source.is_described)
            for scan in scans_of(source, now, fetch)
        ]

    def withdraw(self, scan_ids: Sequence[str]) -> None:
        """Withdraw scans, by tombstones: their faces leave every topic and table. All of them, or none.

        Raises UserError when one is not published or was withdrawn before.
        """
        for scan_id in scan_ids:
            if scan_id not in self._known:
                raise UserError(f"no scan {scan_id!r} is published: nothing was withdrawn")
        for scan_id in dict.fromkeys(scan_ids):
            self._changed.pop(scan_id, None)
            self._send(Tombstone(SCANS, scan_id))
            self._known.remove(scan_id)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Publish changed scans with the faces they keep, and wait until the broker has confirmed everything sent."""
        changed, self._changed = self._changed, {}
        undescribed, self._undescribed = self._undescribed, set()
        if changed:
            # What was sent before is confirmed first, so that it is read here.
            self._publisher.flush(timeout_s)
            earlier = self._known.latest(changed)
            for scan in with_faces(self._kafka, changed, earlier, self._folder):
                if scan.scan_id in undescribed and scan.scan_id in earlier:
                    scan = scan.model_copy(update={"metadata": earlier[scan.scan_id].metadata})
                self._send(scan)
        self._publisher.flush(timeout_s)

    def _send(self, message: ScanPublished | Tombstone) -> None:
        self._publisher.send(message)
        if isinstance(message, ScanPublished):
            self._known.add(message)
            metrics.scans_published.inc()

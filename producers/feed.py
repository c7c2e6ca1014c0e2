"""The scan feed: publishes scans to Kafka, each once, however often the same folder is given.

It decides whether a scan is new, unchanged or changed, and makes a scan that is published again keep its age and the
ids of its faces. `producers.files` lists the scans.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from types import TracebackType
from typing import Self

from errors import UserError
from producers.files import UNREADABLE_SHA256
from producers.kept import with_faces
from producers.publisher import Publisher
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import SCANS, Tombstone
from settings import KafkaSettings
from stream.reading import latest_events


class Outcome(StrEnum):
    """What the feed did with a scan: published it, skipped it as unchanged, or published it again."""

    PUBLISHED = "published"
    ALREADY_THERE = "already there"
    CHANGED = "changed"


@dataclass(frozen=True)
class Summary:
    """The number of scans of each outcome."""

    published: int = 0
    already_there: int = 0
    changed: int = 0

    @property
    def scans(self) -> int:
        """The number of all scans given to the feed."""
        return self.published + self.already_there + self.changed


@dataclass(frozen=True)
class Known:
    """What the feed remembers of a scan on the topic: enough to see whether it changed, and the faces it keeps.

    details: a digest of uri, page, collection and metadata, 16 bytes.
    """

    sha256: str
    details: bytes
    published_at: datetime
    keep: tuple[KeptFace, ...]


class Feed:
    """Publishes scans with an idempotent producer. Use it as a context manager.

    It begins by reading `scans` to its end (committed records). A scan that is there with the same content, uri, page,
    collection and metadata is not published again. A scan that changed is published with the time it was first
    published at, and with the faces to keep (id and box) as `faces` has them; `flush` reads those once for all changed
    scans. After `flush`, and at the end of the context, the broker has confirmed all scans.

    Raises errors.Fatal, naming the broker, when it does not answer or does not confirm what was published.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime]) -> None:
        self._kafka = kafka
        self._known = known_scans(kafka)
        self._changed: dict[str, ScanPublished] = {}
        self._outcomes: Counter[Outcome] = Counter()
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

    @property
    def summary(self) -> Summary:
        """The number of scans of each outcome so far."""
        counts = self._outcomes
        return Summary(counts[Outcome.PUBLISHED], counts[Outcome.ALREADY_THERE], counts[Outcome.CHANGED])

    def publish(self, scan: ScanPublished) -> Outcome:
        """Send a scan to Kafka if it is new, hold it back until `flush` if it changed, else skip it."""
        outcome = self._publish(scan)
        self._outcomes[outcome] += 1
        return outcome

    def _publish(self, scan: ScanPublished) -> Outcome:
        known = self._known.get(scan.scan_id)
        if known is None:
            self._send(scan)
            return Outcome.PUBLISHED
        if unchanged(known, scan):
            return Outcome.ALREADY_THERE
        scan = scan.model_copy(update={"published_at": known.published_at, "keep": known.keep})
        self._changed[scan.scan_id] = scan
        self._known[scan.scan_id] = _remember(scan)
        return Outcome.CHANGED

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
            del self._known[scan_id]

    def flush(self, timeout_s: float = 60.0) -> None:
        """Publish changed scans with the faces they keep, and wait until the broker has confirmed everything sent."""
        changed, self._changed = self._changed, {}
        for scan in with_faces(self._kafka, changed) if changed else ():
            self._send(scan)
        self._publisher.flush(timeout_s)

    def _send(self, message: ScanPublished | Tombstone) -> None:
        self._publisher.send(message)
        if isinstance(message, ScanPublished):
            self._known[message.scan_id] = _remember(message)


def known_scans(kafka: KafkaSettings) -> dict[str, Known]:
    """The scans on `scans` now, by scan id, without withdrawn ones. About 430 bytes of memory each (measured)."""
    return latest_events(kafka, SCANS, ScanPublished, _remember)


def unchanged(known: Known, scan: ScanPublished) -> bool:
    """Whether a scan is as it was published. A file that cannot be read just now counts as having the same content."""
    return known.details == _details(scan) and scan.sha256 in (known.sha256, UNREADABLE_SHA256)


def _remember(scan: ScanPublished) -> Known:
    return Known(scan.sha256, _details(scan), scan.published_at, scan.keep)


def _details(scan: ScanPublished) -> bytes:
    """A digest of all that is known of a scan beside its content. The media type follows from the content."""
    details = (scan.uri, scan.page, scan.collection, sorted(scan.metadata.items()))
    return blake2b(json.dumps(details).encode(), digest_size=16).digest()

"""The scan feed: publishes scans to Kafka, each once, however often the same folder is given.

It owns what "already there" and "changed" mean, and that a scan published again keeps its age and its faces. Which
scans there are is said by `producers.files`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from types import TracebackType
from typing import Self
from uuid import uuid4

from kafka.errors import KafkaError

from producers.errors import InputError
from producers.files import UNREADABLE_SHA256
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace, ScanPublished
from schemas.topics import FACES, SCANS, Tombstone
from settings import KafkaSettings
from stream import clients
from stream.errors import Fatal
from stream.reading import read_to_end

_CLOSE_S = 5.0


class Outcome(StrEnum):
    """What publishing a scan came to."""

    PUBLISHED = "published"
    ALREADY_THERE = "already there"
    CHANGED = "changed"


@dataclass(frozen=True)
class Summary:
    """How many scans came to which outcome."""

    published: int = 0
    already_there: int = 0
    changed: int = 0

    @property
    def scans(self) -> int:
        """All scans that were given."""
        return self.published + self.already_there + self.changed


@dataclass(frozen=True)
class Known:
    """What is remembered of a scan that is on the topic: enough to tell whether it changed, and what it keeps."""

    sha256: str
    said: bytes
    published_at: datetime
    keep: tuple[KeptFace, ...]


class Feed:
    """Publishes scans with an idempotent producer. Use it as a context; after `flush`, and at its end, all is there.

    It begins by reading `scans` to its end (committed records). A scan that is there with the same content, place and
    metadata is not published again. One that changed is published with the time it was first published at and with
    the faces to keep, id and box, as `faces` has them: that is read once for all changed scans, in `flush`.

    Raises Fatal, naming the broker, when it does not answer or does not take what was published.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime]) -> None:
        self._kafka = kafka
        self._now = now
        self._known = known_scans(kafka)
        self._changed: dict[str, ScanPublished] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._failures: list[BaseException] = []
        self._unconfirmed = 0
        self._producer = clients.producer(kafka)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._producer.close(timeout=_CLOSE_S)

    @property
    def summary(self) -> Summary:
        """What publishing came to so far."""
        counts = self._outcomes
        return Summary(counts[Outcome.PUBLISHED], counts[Outcome.ALREADY_THERE], counts[Outcome.CHANGED])

    def publish(self, scan: ScanPublished) -> Outcome:
        """Hand a scan to Kafka if it is new; hold it back until `flush` if it changed; else do nothing."""
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
        """Take scans back: their faces leave every topic and table. All of them, or none.

        Raises InputError where one is not published, or was withdrawn before.
        """
        for scan_id in scan_ids:
            if scan_id not in self._known:
                raise InputError(f"no scan {scan_id!r} is published: nothing was withdrawn")
        for scan_id in dict.fromkeys(scan_ids):
            self._changed.pop(scan_id, None)
            self._send(Tombstone(SCANS, scan_id))
            del self._known[scan_id]

    def flush(self, timeout_s: float = 60.0) -> None:
        """Publish what changed, with the faces it keeps, and wait until the broker has confirmed all of it."""
        changed, self._changed = self._changed, {}
        for scan in self._with_faces(changed) if changed else ():
            self._send(scan)
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            raise self._not_taken(error) from error
        self._check()
        self._unconfirmed = 0

    def _with_faces(self, changed: dict[str, ScanPublished]) -> Iterator[ScanPublished]:
        live: dict[str, ScanAnalysed] = {}
        for received in read_to_end(self._kafka, FACES):
            analysed = received.message
            if isinstance(analysed, ScanAnalysed) and analysed.scan_id in changed:
                live[analysed.scan_id] = analysed
            elif isinstance(analysed, Tombstone):
                live.pop(analysed.key, None)
        for scan_id, scan in changed.items():
            # What the last analysis was to keep but did not find may be found by the next.
            keep = {face.face_id: face for face in scan.keep}
            if scan_id in live:
                keep |= {face.face_id: KeptFace(face_id=face.face_id, box=face.box) for face in live[scan_id].faces}
            yield scan.model_copy(update={"keep": tuple(keep.values())})

    def _send(self, said: ScanPublished | Tombstone) -> None:
        self._check()
        self._unconfirmed += 1
        record = encode(said, event_id=str(uuid4()), time=self._now())
        try:
            sent = self._producer.send(SCANS.name, key=record.key, value=record.value, headers=list(record.headers))
        except KafkaError as error:
            raise self._not_taken(error) from error
        if isinstance(said, ScanPublished):
            self._known[said.scan_id] = _remember(said)
        sent.add_errback(self._failures.append)

    def _check(self) -> None:
        if self._failures:
            raise self._not_taken(self._failures[0]) from self._failures[0]

    def _not_taken(self, error: BaseException) -> Fatal:
        return Fatal(
            f"the Kafka broker at {self._kafka.bootstrap_servers} did not take all scans, up to {self._unconfirmed} "
            f"may be missing ({error}); publish the same again when it answers: what it has is not published twice"
        )


def known_scans(kafka: KafkaSettings) -> dict[str, Known]:
    """What is on `scans` now, by scan id; withdrawn scans are not. They take some 430 bytes each (measured)."""
    known: dict[str, Known] = {}
    for received in read_to_end(kafka, SCANS):
        if isinstance(received.message, ScanPublished):
            known[received.message.scan_id] = _remember(received.message)
        elif isinstance(received.message, Tombstone):
            known.pop(received.message.key, None)
    return known


def unchanged(known: Known, scan: ScanPublished) -> bool:
    """Whether a scan says nothing new. That its file cannot be read just now is no news of its content."""
    return known.said == _said(scan) and scan.sha256 in (known.sha256, UNREADABLE_SHA256)


def _remember(scan: ScanPublished) -> Known:
    return Known(scan.sha256, _said(scan), scan.published_at, scan.keep)


def _said(scan: ScanPublished) -> bytes:
    """A digest of what a scan's publisher says of it beside its content. The media type follows from the content."""
    said = (scan.uri, scan.page, scan.collection, sorted(scan.metadata.items()))
    return blake2b(json.dumps(said).encode(), digest_size=16).digest()

"""The scans that are published: by id, by place and by content."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from schemas.scans import ScanPublished
from schemas.topics import SCANS
from settings import KafkaSettings
from stream.reading import latest_events

# Ids by what the scans have in common. A set for each key would take several times the memory.
_Index = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a published scan: enough to recognise it, and to see whether it changed.

    metadata: a digest of it, 16 bytes.
    """

    uri: str
    sha256: str
    page: int | None
    collection: str
    metadata: bytes
    published_at: datetime


class KnownScans:
    """The published scans by id. Those at a place or with a content are indexed when they are first asked for.

    About 540 bytes of memory each, and 210 more with the indexes (measured).
    """

    def __init__(self, scans: dict[str, Known] | None = None) -> None:
        self._scans = scans if scans is not None else {}
        self._at_place: _Index | None = None
        self._with_content: _Index | None = None

    def __contains__(self, scan_id: str) -> bool:
        """Whether a scan of this id is published."""
        return scan_id in self._scans

    def __len__(self) -> int:
        """The number of scans."""
        return len(self._scans)

    def __getitem__(self, scan_id: str) -> Known:
        """The scan of this id. Raises KeyError."""
        return self._scans[scan_id]

    def __iter__(self) -> Iterator[str]:
        """The ids, in no particular order."""
        return iter(self._scans)

    def get(self, scan_id: str) -> Known | None:
        """The scan of this id, None where there is none."""
        return self._scans.get(scan_id)

    def items(self) -> Iterator[tuple[str, Known]]:
        """The scans with their ids, in no particular order."""
        return iter(self._scans.items())

    def at_place(self, uri: str) -> tuple[str, ...]:
        """The ids of the scans of this file, of all its pages."""
        if self._at_place is None:
            self._at_place = {}
            for scan_id, known in self._scans.items():
                _append(self._at_place, known.uri, scan_id)
        return self._at_place.get(uri, ())

    def with_content(self, sha256: str) -> tuple[str, ...]:
        """The ids of the scans whose file has this content, of all its pages."""
        if self._with_content is None:
            self._with_content = {}
            for scan_id, known in self._scans.items():
                _append(self._with_content, known.sha256, scan_id)
        return self._with_content.get(sha256, ())

    def add(self, scan: ScanPublished) -> None:
        """Remember a scan as it is now."""
        self.remove(scan.scan_id)
        known = remember(scan)
        self._scans[scan.scan_id] = known
        if self._at_place is not None:
            _append(self._at_place, known.uri, scan.scan_id)
        if self._with_content is not None:
            _append(self._with_content, known.sha256, scan.scan_id)

    def remove(self, scan_id: str) -> None:
        """Drop a scan, if it is there."""
        known = self._scans.pop(scan_id, None)
        if known is not None:
            _discard(self._at_place, known.uri, scan_id)
            _discard(self._with_content, known.sha256, scan_id)


def known_scans(kafka: KafkaSettings) -> KnownScans:
    """The scans on `scans` now, without withdrawn ones. Raises errors.Fatal."""
    return KnownScans(latest_events(kafka, SCANS, ScanPublished, remember))


def remember(scan: ScanPublished) -> Known:
    """What is remembered of a scan."""
    # Collections are few: each is one string in memory.
    collection = sys.intern(scan.collection)
    return Known(scan.uri, scan.sha256, scan.page, collection, metadata_digest(scan), scan.published_at)


def metadata_digest(scan: ScanPublished) -> bytes:
    """A digest of a scan's metadata, 16 bytes."""
    return blake2b(json.dumps(sorted(scan.metadata.items())).encode(), digest_size=16).digest()


def _append(index: _Index, key: str, scan_id: str) -> None:
    index[key] = (*index.get(key, ()), scan_id)


def _discard(index: _Index | None, key: str, scan_id: str) -> None:
    if index is None:
        return
    left = tuple(other for other in index[key] if other != scan_id)
    if left:
        index[key] = left
    else:
        del index[key]

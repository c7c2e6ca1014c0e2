"""The scans that are published: by id, by place and by content."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from heapq import merge
from pathlib import Path
from types import TracebackType
from typing import Any

from producers.topic_index import Remembered, TopicIndex
from schemas.scans import ScanPublished
from schemas.topics import SCANS
from settings import KafkaSettings
from stream.records import Received


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


class KnownScans(AbstractContextManager["KnownScans"]):
    """The published scans: those of an index of `scans`, without one none, and what was added and removed since.

    Memory is needed for what was added and removed only.
    """

    def __init__(self, index: TopicIndex[ScanPublished] | None = None) -> None:
        self._index = index
        # None: removed.
        self._changed: dict[str, Known | None] = {}
        self._at_place: dict[str, set[str]] = {}
        self._with_content: dict[str, set[str]] = {}

    def get(self, scan_id: str) -> Known | None:
        """The scan of this id, None where there is none."""
        if scan_id in self._changed:
            return self._changed[scan_id]
        return next((known for _, known in self._indexed("key = ?", scan_id)), None)

    def __contains__(self, scan_id: str) -> bool:
        """Whether a scan of this id is published."""
        return self.get(scan_id) is not None

    def __getitem__(self, scan_id: str) -> Known:
        """The scan of this id. Raises KeyError."""
        known = self.get(scan_id)
        if known is None:
            raise KeyError(scan_id)
        return known

    def items(self) -> Iterator[tuple[str, Known]]:
        """The scans with their ids, by id."""
        changed = [(scan_id, known) for scan_id, known in sorted(self._changed.items()) if known is not None]
        rows = self._index.rows_from("key") if self._index else iter(())
        return merge(self._unchanged(rows), changed, key=lambda item: item[0])

    def at_place(self, uri: str) -> tuple[str, ...]:
        """The ids of the scans of this file, of all its pages."""
        return self._ids("uri = ?", uri, self._at_place.get(uri, ()))

    def with_content(self, sha256: str) -> tuple[str, ...]:
        """The ids of the scans whose file has this content, of all its pages."""
        return self._ids("sha256 = ?", sha256, self._with_content.get(sha256, ()))

    def below(self, uris: Collection[str], prefixes: Collection[str]) -> Iterator[tuple[str, Known]]:
        """The scans of these files, and those whose uri begins with one of these prefixes: each once, with its id."""
        outermost: list[str] = []
        for prefix in sorted(prefixes):
            if not outermost or not prefix.startswith(outermost[-1]):
                outermost.append(prefix)
        for prefix in outermost:
            # The uris that begin with the prefix lie between it and the next text of its length.
            after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            yield from self._unchanged(self._index.rows_from("uri", prefix, after) if self._index else ())
        for uri in self._at_place:
            if uri.startswith(tuple(outermost)):
                yield from self._changed_at(uri)
        for uri in set(uris):
            if not uri.startswith(tuple(outermost)):
                yield from self._indexed("uri = ?", uri)
                yield from self._changed_at(uri)

    def _changed_at(self, uri: str) -> Iterator[tuple[str, Known]]:
        for scan_id in sorted(self._at_place.get(uri, ())):
            known = self._changed[scan_id]
            if known is not None:
                yield scan_id, known

    def of_collection(self, collection: str) -> list[str]:
        """The ids of the scans of a collection, by id. Looks at all scans."""
        changed = {id_ for id_, known in self._changed.items() if known is not None and known.collection == collection}
        return sorted({*(scan_id for scan_id, _ in self._indexed("collection = ?", collection)), *changed})

    def add(self, scan: ScanPublished) -> None:
        """Remember a scan as it is now."""
        self.remove(scan.scan_id)
        self._changed[scan.scan_id] = known = remember(scan)
        self._at_place.setdefault(known.uri, set()).add(scan.scan_id)
        self._with_content.setdefault(known.sha256, set()).add(scan.scan_id)

    def remove(self, scan_id: str) -> None:
        """Drop a scan, if it is there."""
        known = self._changed.get(scan_id)
        if known is not None:
            self._at_place[known.uri].discard(scan_id)
            self._with_content[known.sha256].discard(scan_id)
        self._changed[scan_id] = None

    def latest(self, scan_ids: Collection[str]) -> dict[str, ScanPublished]:
        """These scans as they were published last, by id, read from the topic as it is now."""
        return self._index.latest(scan_ids) if self._index else {}

    def record(self, scan_id: str) -> Received | None:
        """The record of a scan as it was published last; None where it is not there."""
        return self._index.records([scan_id]).get(scan_id) if self._index else None

    def _ids(self, condition: str, value: str, changed: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({*(scan_id for scan_id, _ in self._indexed(condition, value)), *changed}))

    def _indexed(self, condition: str, *values: str) -> Iterator[tuple[str, Known]]:
        return self._unchanged(self._index.rows(condition, *values) if self._index else ())

    def _unchanged(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, Known]]:
        """The scans of these rows of the index, but for those that were changed since."""
        for scan_id, uri, sha256, page, collection, metadata, published_at in rows:
            if scan_id not in self._changed:
                number = None if page is None else int(page)
                time = datetime.fromisoformat(published_at)
                yield scan_id, Known(uri, sha256, number, collection, metadata, time)

    def close(self) -> None:
        """Close the index."""
        if self._index:
            self._index.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def known_scans(kafka: KafkaSettings, folder: Path | None = None) -> KnownScans:
    """The scans on `scans` now, without withdrawn ones, by way of an index in the data folder `folder`. Raises Fatal.

    Without a folder all of `scans` is read.
    """
    remembered = Remembered(
        ScanPublished,
        {
            "uri": lambda scan: scan.uri,
            "sha256": lambda scan: scan.sha256,
            # As text, which holds any number.
            "page": lambda scan: None if scan.page is None else str(scan.page),
            "collection": lambda scan: scan.collection,
            "metadata": metadata_digest,
            "published_at": lambda scan: scan.published_at.isoformat(),
        },
        sought=("uri", "sha256"),
    )
    return KnownScans(TopicIndex(kafka, SCANS, remembered, folder))


def remember(scan: ScanPublished) -> Known:
    """What is remembered of a scan."""
    return Known(scan.uri, scan.sha256, scan.page, scan.collection, metadata_digest(scan), scan.published_at)


def metadata_digest(scan: ScanPublished) -> bytes:
    """A digest of a scan's metadata, 16 bytes."""
    return blake2b(json.dumps(sorted(scan.metadata.items())).encode(), digest_size=16).digest()

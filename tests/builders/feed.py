"""Scans as a producer publishes them, and analyses of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from producers.feed import Feed, Summary
from producers.files import list_sources
from producers.folders import Skipped, Unreadable
from producers.identity import Verdict
from producers.missing import Missing
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, KeptFace, ScanPublished
from schemas.topics import SCANS
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.stores import fetch_anywhere


def scan(collection: str, name: str = "a.jpg", *, minute: int = 0, **changed: Any) -> ScanPublished:  # noqa: ANN401
    """A scan of this name in a collection, published so many minutes after noon."""
    values: dict[str, Any] = {
        "scan_id": f"{collection}/{name}",
        "uri": f"file:///{name}",
        "sha256": "ab" * 32,
        "media_type": "image/jpeg",
        "collection": collection,
        "published_at": NOON + timedelta(minutes=minute),
        "metadata": {"place": "Tartu", "year": "1911"},
    }
    return ScanPublished.model_validate(values | changed)


@cache
def _folder(_: str | None) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="facestream-")


def index_folder(kafka: KafkaSettings) -> Path:
    """A data folder for the indexes of this broker's topics, for as long as the tests run."""
    return Path(_folder(kafka.bootstrap_servers).name)


def feed_scans(kafka: KafkaSettings, *scans: ScanPublished) -> Summary:
    """Publish scans as the producers do, at noon, and give the account of it."""
    with Feed(kafka, lambda: NOON, index_folder(kafka)) as feed:
        for it in scans:
            feed.publish(it)
    return feed.summary


def feed_files(kafka: KafkaSettings, path: Path, collection: str | None = None, *, replacing: bool = False) -> Summary:
    """Publish a folder, file or manifest as the commands do, at noon, and give the account of it."""
    with Feed(kafka, lambda: NOON, index_folder(kafka), replacing=replacing) as feed:
        for source in feed.sources_in_order(list_sources([path], collection).sources):
            feed.publish_file(source, lambda: NOON, fetch_anywhere)
    return feed.summary


class SilentReports:
    """Reports of a watched folder that nobody reads (producers.watch.Reports)."""

    def published(self, verdicts: Sequence[Verdict]) -> None:
        """Scans that were published."""

    def skipped(self, skipped: Sequence[Skipped]) -> None:
        """What is skipped."""

    def unreadable(self, unreadable: Sequence[Unreadable]) -> None:
        """What cannot be read."""

    def missing(self, missing: Sequence[Missing]) -> None:
        """Scans whose file is gone."""


def published_scans(kafka: KafkaSettings, collection: str) -> list[ScanPublished]:
    """All that the topic holds of a collection."""
    messages = [received.message for received in read_to_end(kafka, SCANS)]
    return [it for it in messages if isinstance(it, ScanPublished) and it.collection == collection]


def analysis(scan: ScanPublished, **faces: Box) -> ScanAnalysed:
    """An analysis of a scan, with a face of each name in each box."""
    found = tuple(
        Face(
            face_id=face_id,
            box=box,
            landmarks=(),
            score=1,
            quality=Quality(size_px=90, sharpness=9),
            embedding=b"\0" * 512,
        )
        for face_id, box in faces.items()
    )
    provenance = Provenance(engine="dlib", detector="d", landmarks="l", embedder="e", upsample=0, max_size=2000)
    return ScanAnalysed(
        scan_id=scan.scan_id,
        sha256=scan.sha256,
        published_at=scan.published_at,
        width=100,
        height=100,
        provenance=provenance,
        faces=found,
    )


def kept(analysed: ScanAnalysed, face_id: str, *, page: int | None = None, live: bool = True) -> KeptFace:
    """A face of an analysis as its scan keeps it when it is published again."""
    (face,) = (face for face in analysed.faces if face.face_id == face_id)
    return KeptFace(
        face_id=face_id,
        box=face.box,
        sha256=analysed.sha256,
        page=page,
        embedding=face.embedding,
        embedder=analysed.provenance.embedder,
        live=live,
    )


def box(left: float) -> Box:
    """A small box that begins there."""
    return Box(left=left, top=0.1, right=left + 0.1, bottom=0.2)

"""Messages for the catalogue, the records that carry them, and writing them into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from psycopg import Connection
from psycopg.rows import class_row

from catalogue import reader
from catalogue.writer import CONSUMER, write
from schemas.base import DLIB_EMBEDDER, Event
from schemas.clusters import Change, ClusterChanged, FaceAssigned, Role, Suggestion
from schemas.dead_letters import DeadLetter, Settled
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished
from schemas.topics import Record, Tombstone

PUBLISHED_AT = datetime(1918, 2, 24, tzinfo=UTC)
SHA256 = "0" * 64
PROVENANCE = Provenance(engine="dlib", detector="a", landmarks="b", embedder=DLIB_EMBEDDER, upsample=1, max_size=2000)


WriteMessages = Callable[..., None]
"""Writes messages of a topic to the catalogue of the test."""


NO_BYTES = Record(None, None)


@dataclass(frozen=True)
class StreamRecord:
    """A record as the stream hands it over."""

    topic: str
    partition: int
    offset: int
    message: Event | Tombstone | DeadLetter | Settled
    record: Record = NO_BYTES


def in_order(
    topic: str, *messages: Event | Tombstone | DeadLetter | Settled, partition: int = 0, start: int = 0
) -> list[StreamRecord]:
    """The records of these messages, in a topic from the offset `start` on."""
    return [StreamRecord(topic, partition, start + offset, message) for offset, message in enumerate(messages)]


def offsets_after(records: Sequence[StreamRecord]) -> dict[tuple[str, int], int]:
    """The offsets that a reader of these records has come to."""
    return {(it.topic, it.partition): it.offset + 1 for it in records}


def write_messages(connection: Connection, topic: str, *messages: Event | Tombstone | DeadLetter | Settled) -> None:
    """Write messages to the catalogue, after those that were written before."""
    records = in_order(topic, *messages, start=reader.offsets(connection, CONSUMER).get((topic, 0), 0))
    write(connection, records, offsets_after(records))


def published(scan_id: str, uri: str = "file:///nowhere.jpg", **fields: object) -> ScanPublished:
    values = {
        "sha256": SHA256,
        "media_type": "image/jpeg",
        "collection": "album",
        "published_at": PUBLISHED_AT,
    } | fields
    return ScanPublished.model_validate({"scan_id": scan_id, "uri": uri} | values)


def face(face_id: str, embedding: Sequence[float] = (), box: Box | None = None) -> Face:
    vector = np.zeros(128, "<f4")
    vector[: len(embedding)] = embedding
    return Face(
        face_id=face_id,
        box=box or Box(left=0.25, top=0.25, right=0.5, bottom=0.75),
        landmarks=((0.3, 0.4), (0.45, 0.4)),
        score=1.0,
        quality=Quality(size_px=80, sharpness=100),
        embedding=vector.tobytes(),
    )


def analysed(scan_id: str, *faces: Face, width: int = 800) -> ScanAnalysed:
    return ScanAnalysed(
        scan_id=scan_id,
        sha256=SHA256,
        published_at=PUBLISHED_AT,
        width=width,
        height=600,
        provenance=PROVENANCE,
        faces=faces,
    )


def assigned(
    face_id: str, scan_id: str, cluster_id: str | None, analysis: int = 0, name: str | None = None
) -> FaceAssigned:
    return FaceAssigned(
        face_id=face_id,
        scan_id=scan_id,
        analysis=analysis,
        cluster_id=cluster_id,
        role=Role.NOISE if cluster_id is None else Role.CORE,
        hard_label=name,
    )


def suggested(face_id: str, scan_id: str, cluster_id: str, *names: tuple[str, float]) -> FaceAssigned:
    distribution = tuple(Suggestion(label_id=name, probability=probability) for name, probability in names)
    return assigned(face_id, scan_id, cluster_id).model_copy(
        update={"soft_label": distribution[0], "distribution": distribution}
    )


def changed(cluster_id: str, change: Change, size: int = 1, successor: str | None = None) -> ClusterChanged:
    return ClusterChanged(cluster_id=cluster_id, change=change, size=size, successor=successor)


def dead(key: bytes | None, reason: str = "not a picture", offset: int = 0, topic: str = "scans") -> DeadLetter:
    return DeadLetter(
        original=Record(key, b"{"),
        topic=topic,
        partition=0,
        offset=offset,
        consumer="detect",
        reason=reason,
        time=PUBLISHED_AT,
    )


def all_counted(connection: Connection) -> reader.Counts:
    """The number of rows of each sort, as all of them are counted."""
    with connection.cursor(row_factory=class_row(reader.Counts)) as cursor:
        (row,) = cursor.execute("""
            SELECT
                (SELECT count(*) FROM scans) AS scans,
                (SELECT count(*) FROM scans JOIN analyses USING (scan_id)) AS analysed,
                (SELECT count(*) FROM scans s
                 WHERE EXISTS (SELECT FROM dead_letters d WHERE d.topic = 'scans' AND d.key = s.scan_id)
                 AND NOT EXISTS (SELECT FROM analyses a WHERE a.scan_id = s.scan_id)) AS dead_scans,
                (SELECT count(*) FROM faces) AS faces,
                (SELECT count(DISTINCT cluster_id) FROM assignments) AS clusters,
                (SELECT count(*) FROM assignments WHERE role = 'noise') AS noise,
                (SELECT count(*) FROM assignments WHERE hard_label IS NOT NULL) AS named,
                (SELECT count(*) FROM dead_letters) AS dead_letters
        """).fetchall()
    return row

"""What was said, as rows of the tables; and what no row can hold. No SQL and no connection."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter
from schemas.decisions import Decision
from schemas.faces import Face, ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import Tombstone

DIMENSIONS = 128

# A B-tree entry of PostgreSQL holds 2,704 bytes, and the faces' key is two ids.
_LONGEST_ID = 1_300
_LARGEST_INTEGER = 2**31 - 1
_LARGEST_BIGINT = 2**63 - 1

Row = tuple[Any, ...]

Message = Event | Tombstone | DeadLetter


def scan(event: ScanPublished) -> Row:
    """A row of `scans`."""
    return (
        text(event.scan_id),
        text(event.uri),
        event.sha256,
        text(event.media_type),
        text(event.collection),
        event.page,
        Jsonb({text(name): text(value) for name, value in event.metadata.items()}),
        event.published_at,
    )


def analysis(number: int, event: ScanAnalysed) -> Row:
    """A row of `analyses`."""
    provenance = {
        field: text(value) if isinstance(value, str) else value
        for field, value in event.provenance.model_dump(mode="json").items()
    }
    return (text(event.scan_id), number, text(event.sha256), event.width, event.height, Jsonb(provenance))


def faces(number: int, event: ScanAnalysed) -> Iterator[Row]:
    """Rows of `faces`, one for each face id."""
    scan_id = text(event.scan_id)
    for face_id, face in {text(face.face_id): face for face in event.faces}.items():
        box = face.box
        yield (
            face_id,
            scan_id,
            number,
            box.left,
            box.top,
            box.right,
            box.bottom,
            Jsonb(face.landmarks),
            face.score,
            face.quality.size_px,
            face.quality.sharpness,
            face.vector,
        )


def assignment(event: FaceAssigned) -> Row:
    """A row of `assignments`."""
    soft = event.soft_label
    return (
        text(event.face_id),
        text(event.scan_id),
        event.analysis,
        optional_text(event.cluster_id),
        event.role.value,
        optional_text(event.hard_label),
        text(soft.label_id) if soft else None,
        soft.probability if soft else None,
        Jsonb([{"label_id": text(it.label_id), "probability": it.probability} for it in event.distribution]),
    )


def decision(event: Decision) -> Row:
    """A row of `decisions`."""
    what = event.model_dump()
    columns = ("face_id", "other_face_id", "label_id", "name", "authority", "undone_decision_id")
    return (
        text(event.decision_id),
        event.kind,
        text(event.author),
        event.decided_at,
        optional_text(event.note),
        *(optional_text(what.get(column)) for column in columns),
    )


def change(partition: int, offset: int, event: ClusterChanged) -> Row:
    """A row of `cluster_changes`."""
    return (
        partition,
        offset,
        text(event.cluster_id),
        event.change.value,
        event.size,
        optional_text(event.successor),
        [text(part) for part in event.parts],
    )


def dead_letter(letter: DeadLetter) -> Row:
    """A row of `dead_letters`."""
    return (
        text(letter.topic),
        letter.partition,
        letter.offset,
        text(letter.consumer),
        key_of(letter),
        text(letter.reason),
        letter.time,
    )


def key_of(message: Message) -> str | None:
    """The key of a message, of a dead letter's original, as text for a person."""
    if not isinstance(message, DeadLetter):
        return text(message.key)
    key = message.original.key
    return None if key is None else text(key.decode(errors="backslashreplace"))


def text(value: str) -> str:
    """The string as PostgreSQL can hold it: it has no character NUL, which becomes U+FFFD."""
    return value.replace("\x00", "\ufffd")


def optional_text(value: str | None) -> str | None:
    """The same for a string that may be absent."""
    return None if value is None else text(value)


def unfit(message: Message) -> str | None:
    """Why no row can hold this, for a person; None where one can. A function of the message alone."""
    too_long = next((it for it in _ids(message) if len(it.encode()) > _LONGEST_ID), None)
    if too_long is not None:
        return f"an id of more than {_LONGEST_ID} bytes: {too_long[:60]}…"
    if any(abs(number) > _LARGEST_INTEGER for number in _integers(message)):
        return f"a number of pixels, pages or partitions above {_LARGEST_INTEGER}"
    if any(abs(number) > _LARGEST_BIGINT for number in _bigints(message)):
        return f"an analysis, size or offset above {_LARGEST_BIGINT}"
    if isinstance(message, ScanAnalysed):
        return next((reason for face in message.faces if (reason := _unfit_face(face))), None)
    return None


def _unfit_face(face: Face) -> str | None:
    if face.vector.shape != (DIMENSIONS,):
        return f"the embedding of face {face.face_id} has {face.vector.size} numbers, not {DIMENSIONS}"
    if not np.isfinite(face.vector).all():
        return f"the embedding of face {face.face_id} has a number that is not finite"
    box, quality = face.box, face.quality
    figures = (box.left, box.top, box.right, box.bottom, face.score, quality.size_px, quality.sharpness)
    if not all(map(math.isfinite, chain(figures, *face.landmarks))):
        return f"the box, landmarks, score or quality of face {face.face_id} are not finite"
    return None


def _ids(message: Message) -> Iterator[str]:
    match message:
        case ScanPublished():
            yield message.scan_id
        case ScanAnalysed():
            yield message.scan_id
            yield from (face.face_id for face in message.faces)
        case FaceAssigned():
            yield from (message.face_id, message.scan_id)
            yield from filter(None, (message.cluster_id, message.hard_label))
        case Decision():
            ids = message.model_dump(include={"decision_id", "label_id", "undone_decision_id"})
            yield from (*ids.values(), *message.face_ids)
        case ClusterChanged():
            yield message.cluster_id
            yield from filter(None, (message.successor, *message.parts))
        case DeadLetter():
            yield from (message.topic, message.consumer)


def _integers(message: Message) -> Iterator[int]:
    match message:
        case ScanPublished():
            yield message.page or 0
        case ScanAnalysed():
            yield from (message.width, message.height)
        case DeadLetter():
            yield message.partition


def _bigints(message: Message) -> Iterator[int]:
    match message:
        case FaceAssigned():
            yield message.analysis
        case ClusterChanged():
            yield message.size
        case DeadLetter():
            yield message.offset

"""The messages that no row can hold: ids too long for an index, numbers too large for a column, unusable embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import numpy as np

from catalogue.rows import Message
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter
from schemas.decisions import Decision
from schemas.faces import EMBEDDING_DIMENSIONS, Face, ScanAnalysed
from schemas.scans import ScanPublished

# An entry of a B-tree index holds 2,704 bytes (a third of a page), and the key of `faces` is two ids.
_MAX_ID_BYTES = 1_300
_MAX_INTEGER = 2**31 - 1
_MAX_BIGINT = 2**63 - 1


def violation(message: Message) -> str | None:
    """The limit that a message exceeds, as a reason for a dead letter; None where a row can hold it.

    It depends on the message alone, so a replay refuses the same records.
    """
    long_id = next((value for value in _ids(message) if len(value.encode()) > _MAX_ID_BYTES), None)
    if long_id is not None:
        return f"an id of more than {_MAX_ID_BYTES} bytes: {long_id[:60]}…"
    if any(abs(number) > _MAX_INTEGER for number in _integers(message)):
        return f"a number of pixels, pages or partitions above {_MAX_INTEGER}"
    if any(abs(number) > _MAX_BIGINT for number in _bigints(message)):
        return f"an analysis, size or offset above {_MAX_BIGINT}"
    if isinstance(message, ScanAnalysed):
        return next((reason for face in message.faces if (reason := _face_violation(face))), None)
    return None


def _face_violation(face: Face) -> str | None:
    if face.vector.shape != (EMBEDDING_DIMENSIONS,):
        return f"the embedding of face {face.face_id} has {face.vector.size} numbers, not {EMBEDDING_DIMENSIONS}"
    # pgvector refuses NaN and infinity, and so does jsonb, which holds the landmarks.
    if not np.isfinite(face.vector).all():
        return f"the embedding of face {face.face_id} has a number that is not finite"
    box, quality = face.box, face.quality
    figures = (box.left, box.top, box.right, box.bottom, face.score, quality.size_px, quality.sharpness)
    if not all(map(math.isfinite, chain(figures, *face.landmarks))):
        return f"the box, landmarks, score or quality of face {face.face_id} are not finite"
    return None


def _ids(message: Message) -> Iterator[str]:
    """The values of indexed text columns."""
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
            ids = message.model_dump(include={"decision_id", "undone_decision_id"})
            yield from (*ids.values(), *message.face_ids, *message.label_ids)
        case ClusterChanged():
            yield message.cluster_id
            yield from filter(None, (message.successor, *message.parts))
        case DeadLetter():
            yield from (message.topic, message.consumer)


def _integers(message: Message) -> Iterator[int]:
    """The values of integer columns (32 bits)."""
    match message:
        case ScanPublished():
            yield message.page or 0
        case ScanAnalysed():
            yield from (message.width, message.height)
        case DeadLetter():
            yield message.partition


def _bigints(message: Message) -> Iterator[int]:
    """The values of bigint columns (64 bits)."""
    match message:
        case FaceAssigned():
            yield message.analysis
        case ClusterChanged():
            yield message.size
        case DeadLetter():
            yield message.offset

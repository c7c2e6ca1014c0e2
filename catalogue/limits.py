"""The messages that no row can hold: an id is too long for an index. Events have bounds of their own for the rest."""

from __future__ import annotations

from collections.abc import Iterator

from catalogue.rows import Message
from schemas.base import MOST_ID_BYTES
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter, Settled
from schemas.decisions import Decision
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished


def violation(message: Message) -> str | None:
    """The limit that a message exceeds, as a reason for a dead letter; None where a row can hold it.

    It depends on the message alone, so a replay refuses the same records.
    """
    long_id = next((value for value in _ids(message) if len(value.encode()) > MOST_ID_BYTES), None)
    return None if long_id is None else f"an id of more than {MOST_ID_BYTES} bytes: {long_id[:60]}…"


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
        case DeadLetter() | Settled():
            yield from (message.topic, message.consumer)

"""Rows of the tables, made of messages. Pure: no SQL and no connection.

A row has its values by column name. The names are those of schema.sql, which also has the types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from psycopg.types.json import Jsonb

from decisions.identities import Identities
from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter, Settled
from schemas.decisions import Decision
from schemas.faces import ScanAnalysed
from schemas.generations import FIRST, GenerationDefined
from schemas.scans import ScanPublished
from schemas.topics import Record, Tombstone
from schemas.uris import without_credentials

# A word of four digits.
_YEAR = re.compile(r"\b[0-9]{4}\b")

Row = Mapping[str, Any]
"""Values by column. All rows of one table have the same columns in the same order."""

Message = Event | Tombstone | DeadLetter | Settled


class Received(Protocol):
    """A decoded record with its topic, partition and offset."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def partition(self) -> int:
        """The partition's number."""

    @property
    def offset(self) -> int:
        """The record's own offset."""

    @property
    def record(self) -> Record:
        """The record's bytes."""

    @property
    def message(self) -> Message:
        """The record's value, or the tombstone."""


def scan(event: ScanPublished) -> Row:
    """A row of `scans`."""
    return {
        "scan_id": text(event.scan_id),
        "uri": text(without_credentials(event.uri)),
        "sha256": event.sha256,
        "media_type": text(event.media_type),
        "collection": text(event.collection),
        "page": event.page,
        "metadata": Jsonb({text(name): text(value) for name, value in event.metadata.items()}),
        "published_at": event.published_at,
        "years": sorted({year for value in event.metadata.values() for year in _YEAR.findall(value)}),
    }


def kept_faces(event: ScanPublished) -> Iterator[Row]:
    """Rows of `kept_faces`."""
    for face in event.keep:
        yield {
            "scan_id": text(event.scan_id),
            "face_id": text(face.face_id),
            "sha256": optional_text(face.sha256),
            "page": face.page,
        }


def analysis(number: int, event: ScanAnalysed, analysed_at: datetime | None) -> Row:
    """A row of `analyses`. `number` is the offset of the event in `faces`."""
    provenance = {
        field: text(value) if isinstance(value, str) else value
        for field, value in event.provenance.model_dump(mode="json").items()
    }
    return {
        "scan_id": text(event.scan_id),
        "analysis": number,
        "sha256": text(event.sha256),
        "width": event.width,
        "height": event.height,
        "provenance": Jsonb(provenance),
        "analysed_at": analysed_at,
    }


def faces(number: int, event: ScanAnalysed, embedder: str) -> Iterator[Row]:
    """Rows of `faces`, one for each face id. `number` is the offset of the event in `faces`.

    embedder: the one whose embeddings the catalogue holds.
    """
    scan_id = text(event.scan_id)
    is_held = event.provenance.embedder == embedder
    # By id, because an event may repeat one and the table's key may not. The last face of an id is kept.
    for face_id, face in {text(face.face_id): face for face in event.faces}.items():
        yield {
            "face_id": face_id,
            "scan_id": scan_id,
            "analysis": number,
            "box_left": face.box.left,
            "box_top": face.box.top,
            "box_right": face.box.right,
            "box_bottom": face.box.bottom,
            "landmarks": Jsonb(face.landmarks),
            "score": face.score,
            "size_px": face.quality.size_px,
            "sharpness": face.quality.sharpness,
            "embedding": face.vector if is_held else None,
            "turn": face.turn,
            "negative": face.negative,
        }


def embeddings(event: ScanAnalysed) -> Iterator[Row]:
    """Rows of the embeddings of a generation with an embedder of its own (catalogue/own_vectors.py)."""
    scan_id = text(event.scan_id)
    for face_id, face in {text(face.face_id): face for face in event.faces}.items():
        yield {"face_id": face_id, "scan_id": scan_id, "embedding": face.vector}


def assignment(event: FaceAssigned, generation: str = FIRST) -> Row:
    """A row of `all_assignments`."""
    soft = event.soft_label
    distribution = [
        {"label_id": text(suggestion.label_id), "probability": suggestion.probability}
        for suggestion in event.distribution
    ]
    return {
        "face_id": text(event.face_id),
        "scan_id": text(event.scan_id),
        "analysis": event.analysis,
        "cluster_id": optional_text(event.cluster_id),
        "role": event.role.value,
        "hard_label": optional_text(event.hard_label),
        "soft_label": text(soft.label_id) if soft else None,
        "probability": soft.probability if soft else None,
        "distribution": Jsonb(distribution),
        "generation": generation,
    }


def decision(event: Decision) -> Row:
    """A row of `decisions`. Columns that the kind of decision lacks are None."""
    fields = event.model_dump()
    columns = ("face_id", "other_face_id", "label_id", "other_label_id", "name", "authority", "undone_decision_id")
    return {
        "decision_id": text(event.decision_id),
        "kind": event.kind,
        "author": text(event.author),
        "decided_at": event.decided_at,
        "note": optional_text(event.note),
        **{column: optional_text(fields.get(column)) for column in columns},
        "until": fields.get("until"),
    }


def known_label(label_id: str, identities: Identities) -> Row:
    """A row of `known_labels`."""
    person = identities.person(label_id)
    removed_at, removed_by = identities.removed.get(label_id, (None, None))
    return {
        "label_id": label_id,
        "person_id": identities.person_of(label_id),
        "name": person.name if person else None,
        "authority": person.authority if person else None,
        "removed_at": removed_at,
        "removed_by": removed_by,
    }


def cluster_change(partition: int, offset: int, event: ClusterChanged, generation: str = FIRST) -> Row:
    """A row of `all_cluster_changes`, for the event of this partition and offset of `clusters`."""
    return {
        "partition": partition,
        "offset": offset,
        "cluster_id": text(event.cluster_id),
        "change": event.change.value,
        "size": event.size,
        "successor": optional_text(event.successor),
        "parts": [text(cluster_id) for cluster_id in event.parts],
        "generation": generation,
    }


def generation(event: GenerationDefined) -> Row:
    """A row of `generations`."""
    return {
        "generation": event.name,
        "parameters": Jsonb(event.parameters.model_dump(mode="json")),
        "state": event.state.value,
        "changed_at": event.changed_at,
        "since": event.since,
    }


def dead_letter(letter: DeadLetter) -> Row:
    """A row of `dead_letters`, for a record that another consumer could not use."""
    key = letter.original.key
    return {
        "topic": text(letter.topic),
        "partition": letter.partition,
        "offset": letter.offset,
        "consumer": text(letter.consumer),
        # Keys are UTF-8. Bytes that are not are kept readable.
        "key": None if key is None else text(key.decode(errors="backslashreplace")),
        "reason": text(letter.reason),
        "time": letter.time,
    }


def refused_record(record: Received, consumer: str, reason: str, time: datetime) -> Row:
    """A row of `dead_letters`, for a record that no table can hold."""
    message = record.message
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "consumer": consumer,
        "key": _key(message),
        "reason": text(reason),
        "time": time,
    }


def _key(message: Message) -> str | None:
    match message:
        case DeadLetter():
            key: str | None = dead_letter(message)["key"]
            return key
        case Settled():
            return None
        case _:
            return text(message.key)


def text(value: str) -> str:
    """The string with U+FFFD in place of NUL, which PostgreSQL's text and jsonb cannot hold."""
    return value.replace("\x00", "\ufffd")


def optional_text(value: str | None) -> str | None:
    """The same for a string that may be absent."""
    return None if value is None else text(value)

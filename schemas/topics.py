"""The topics: name, key, events, number of partitions, and retention."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta

from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.decisions import (
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    NotSure,
    PeopleMerged,
    PersonRemoved,
    PersonRenamed,
)
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.references import ReferenceDrawn
from schemas.scans import ScanPublished

_TOMBSTONES_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. Without `retention` it is compacted: the latest record of each key is kept for ever.

    key: what the key of a record is. A tombstone is kept for 30 days: a reader that is away no longer than that still
    learns of every deletion.
    """

    name: str
    key: str
    events: tuple[type[Event], ...]
    partitions: int = 1
    retention: timedelta | None = None

    @property
    def config(self) -> dict[str, str]:
        """The topic's configuration: set when the topic is created, checked when it exists."""
        if self.retention is None:
            return {"cleanup.policy": "compact", "delete.retention.ms": _milliseconds(_TOMBSTONES_KEPT)}
        return {"cleanup.policy": "delete", "retention.ms": _milliseconds(self.retention)}


def _milliseconds(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))


SCANS = Topic("scans", "scan_id", (ScanPublished,), partitions=8)
# One partition, so that all readers see one order and an offset numbers an analysis.
FACES = Topic("faces", "scan_id", (ScanAnalysed,))
NEIGHBOURS = Topic("neighbours", "shard/scan_id", (NeighboursFound,))
LABELS = Topic(
    "labels",
    "decision_id",
    (
        FaceNamed,
        NameTakenBack,
        NameRejected,
        NotSure,
        NotAFace,
        FacesLinked,
        FacesSeparated,
        PersonRenamed,
        PersonRemoved,
        PeopleMerged,
        DecisionUndone,
    ),
)
REFERENCES = Topic("references", "name", (ReferenceDrawn,))
ASSIGNMENTS = Topic("assignments", "face_id", (FaceAssigned,), partitions=4)
CLUSTERS = Topic("clusters", "cluster_id", (ClusterChanged,), retention=timedelta(days=365))
DEAD_LETTERS = Topic("dead-letters", "as it was", (), retention=timedelta(days=365))

TOPICS = (SCANS, FACES, REFERENCES, NEIGHBOURS, LABELS, ASSIGNMENTS, CLUSTERS, DEAD_LETTERS)

_TOPIC_OF = {event: topic for topic in TOPICS for event in topic.events}


def topic_of(event: Event) -> Topic:
    """The topic that carries this event."""
    return _TOPIC_OF[type(event)]


def of_generation(topic: Topic, generation: str | None) -> Topic:
    """The topic that the clusterer of a generation writes to instead of `topic`; None is the live one.

    Raises ValueError for a name with other characters than small letters and digits.
    """
    if generation is None:
        return topic
    if not re.fullmatch("[a-z0-9]+", generation):
        raise ValueError(f"a generation is named with small letters and digits, not {generation!r}")
    return replace(topic, name=f"{topic.name}-{generation}")


def topic_named(name: str) -> Topic:
    """The topic of this name, of any generation. Raises KeyError when there is none."""
    by_name = {topic.name: topic for topic in TOPICS}
    return by_name.get(name) or replace(by_name[name.rpartition("-")[0]], name=name)


@dataclass(frozen=True)
class Tombstone:
    """A record without a value, which deletes a key from a compacted topic."""

    topic: Topic
    key: str


@dataclass(frozen=True)
class Record:
    """A Kafka record as bytes, independent of the client library."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = field(default=())

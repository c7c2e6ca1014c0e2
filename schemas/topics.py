"""The topics: name, what the key is, which events it carries, how many partitions, and what is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta

from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.decisions import DecisionUndone, FaceNamed, FacesLinked, FacesSeparated, NameRejected, NameTakenBack
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import ScanPublished

_TOMBSTONES_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. Compacted ones keep the latest record of a key for ever, the others keep `retention`.

    A tombstone is kept for 30 days: so long a reader may be away and still learn what came to an end.
    """

    name: str
    key: str
    events: tuple[type[Event], ...]
    partitions: int = 1
    retention: timedelta | None = None

    @property
    def config(self) -> dict[str, str]:
        """What the broker is told when the topic is created, and what is checked when it is there."""
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
    (FaceNamed, NameTakenBack, NameRejected, FacesLinked, FacesSeparated, DecisionUndone),
)
ASSIGNMENTS = Topic("assignments", "face_id", (FaceAssigned,), partitions=4)
CLUSTERS = Topic("clusters", "cluster_id", (ClusterChanged,), retention=timedelta(days=365))
DEAD_LETTERS = Topic("dead-letters", "as it was", (), retention=timedelta(days=365))

TOPICS = (SCANS, FACES, NEIGHBOURS, LABELS, ASSIGNMENTS, CLUSTERS, DEAD_LETTERS)

_TOPIC_OF = {event: topic for topic in TOPICS for event in topic.events}


def topic_of(event: Event) -> Topic:
    """The topic that carries this event."""
    return _TOPIC_OF[type(event)]


def of_generation(topic: Topic, generation: str | None) -> Topic:
    """The topic where a clusterer of this generation writes what the live one (None) writes to `topic`.

    Raises ValueError for a name that is not of small letters and digits.
    """
    if generation is None:
        return topic
    if not re.fullmatch("[a-z0-9]+", generation):
        raise ValueError(f"a generation is named with small letters and digits, not {generation!r}")
    return replace(topic, name=f"{topic.name}-{generation}")


def topic_named(name: str) -> Topic:
    """The topic of this name, of whichever generation. Raises KeyError where there is none."""
    by_name = {topic.name: topic for topic in TOPICS}
    return by_name.get(name) or replace(by_name[name.rpartition("-")[0]], name=name)


@dataclass(frozen=True)
class Tombstone:
    """The record without a value that takes a key out of a compacted topic."""

    topic: Topic
    key: str


@dataclass(frozen=True)
class Record:
    """A Kafka record as bytes, whichever client reads or writes it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = field(default=())

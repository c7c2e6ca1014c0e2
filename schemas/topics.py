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
from schemas.erasures import FacesErased
from schemas.faces import ScanAnalysed
from schemas.generations import FIRST, GenerationDefined, GenerationPromoted
from schemas.neighbours import NeighboursFound
from schemas.references import ReferenceDrawn
from schemas.scans import ScanPublished

_TOMBSTONES_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. Without `retention` it is compacted: the latest record of each key is kept for ever.

    key: what the key of a record is. A tombstone is kept for 30 days: a reader that is away no longer than that still
    learns of every deletion. way_back: what a person does to have the records again that it has lost. irreplaceable:
    nothing else holds what is in it.
    """

    name: str
    key: str
    events: tuple[type[Event], ...]
    partitions: int = 1
    retention: timedelta | None = None
    way_back: str = "start again: it is filled from the other topics"
    irreplaceable: bool = False

    @property
    def config(self) -> dict[str, str]:
        """The topic's configuration: set when the topic is created, checked when it exists."""
        if self.retention is None:
            return {"cleanup.policy": "compact", "delete.retention.ms": _milliseconds(_TOMBSTONES_KEPT)}
        return {"cleanup.policy": "delete", "retention.ms": _milliseconds(self.retention)}


def _milliseconds(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))


SCANS = Topic(
    "scans", "scan_id", (ScanPublished,), partitions=8, way_back="publish the folders again (facestream ingest)"
)
# One partition, so that all readers see one order and an offset numbers an analysis.
FACES = Topic(
    "faces", "scan_id", (ScanAnalysed,), way_back="have all scans analysed again (facestream reanalyse --all)"
)
NEIGHBOURS = Topic(
    "neighbours", "shard/scan_id", (NeighboursFound,), way_back="publish what is missing (facestream index --repair)"
)
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
    way_back="restore it from a backup: nothing else has the decisions of archivists",
    irreplaceable=True,
)
REFERENCES = Topic("references", "name", (ReferenceDrawn,), way_back="restore it from a backup, or calibrate again")
ASSIGNMENTS = Topic("assignments", "face_id", (FaceAssigned,), partitions=4)
CLUSTERS = Topic("clusters", "cluster_id", (ClusterChanged,), retention=timedelta(days=365))
GENERATIONS = Topic(
    "generations",
    "generation, or `live`",
    (GenerationDefined, GenerationPromoted),
    way_back="build the generations again (facestream replay), and promote the one that was live",
)
DEAD_LETTERS = Topic("dead-letters", "as it was", (), retention=timedelta(days=365))
ERASURES = Topic(
    "erasures",
    "erasure_id",
    (FacesErased,),
    way_back="publish it again from the data folder (facestream erase --again)",
    irreplaceable=True,
)

TOPICS = (SCANS, FACES, REFERENCES, NEIGHBOURS, LABELS, ASSIGNMENTS, CLUSTERS, GENERATIONS, DEAD_LETTERS, ERASURES)

_TOPIC_OF = {event: topic for topic in TOPICS for event in topic.events}


def topic_of(event: Event) -> Topic:
    """The topic that carries this event."""
    return _TOPIC_OF[type(event)]


def of_generation(topic: Topic, generation: str | None) -> Topic:
    """The topic that the clusterer of a generation writes to instead of `topic`; None is the first one, `blue`.

    Raises ValueError for a name with other characters than small letters and digits.
    """
    if generation in (None, FIRST):
        return topic
    if not re.fullmatch("[a-z0-9]+", str(generation)):
        raise ValueError(f"a generation is named with small letters and digits, not {generation!r}")
    return replace(topic, name=f"{topic.name}-{generation}")


def topic_named(name: str) -> Topic:
    """The topic of this name, of any generation. Raises KeyError when there is none."""
    by_name = {topic.name: topic for topic in TOPICS}
    return by_name.get(name) or replace(by_name[name.rpartition("-")[0]], name=name)


def generation_of(name: str) -> tuple[str, str]:
    """The name of the topic that a topic of a generation stands beside, and the generation. Raises KeyError."""
    if name in {topic.name for topic in TOPICS}:
        return name, FIRST
    base, _, generation = name.rpartition("-")
    return topic_named(base).name, generation


@dataclass(frozen=True)
class Tombstone:
    """A record without a value, which deletes a key from a compacted topic."""

    topic: Topic
    key: str


class NotUtf8(str):
    """The name of a header that is not UTF-8, with its bytes as escapes. `encode` returns the bytes themselves."""

    raw: bytes

    def __new__(cls, raw: bytes) -> NotUtf8:
        """From the bytes of the name."""
        name = super().__new__(cls, raw.decode(errors="backslashreplace"))
        name.raw = raw
        return name

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002
        """The bytes, which clients of Kafka write."""
        return self.raw


Headers = tuple[tuple[str, bytes | None], ...]
"""Names and values. A foreign record may have one twice, one without a value, and a name that is `NotUtf8`."""


@dataclass(frozen=True)
class Checkpoint:
    """What a reader has of a partition: the offset to read next, and what shows whether the topic continues there.

    topic_id: the id that Kafka gave the topic, "" where it is unknown. leader_epoch: that of the last record that was
    read, -1 where it is unknown (KIP-320).
    """

    offset: int
    topic_id: str = ""
    leader_epoch: int = -1


@dataclass(frozen=True)
class Record:
    """A Kafka record as bytes, independent of the client library."""

    key: bytes | None
    value: bytes | None
    headers: Headers = field(default=())

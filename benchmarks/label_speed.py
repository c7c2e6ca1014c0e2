"""Measures how fast a label is propagated: in one large cluster, and from `labels` to `assignments` in Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from kafka import KafkaConsumer

from benchmarks.archive import PUBLISHED_AT, QUALITY, Archive
from benchmarks.measurement import peak_mib
from benchmarks.through_kafka import Consumers, broker_and_feed
from clustering.clustering import Clustering, Parameters
from schemas.clusters import FaceAssigned
from schemas.codec import encode
from schemas.decisions import FaceNamed
from schemas.defaults import EPS, EPS_MAX
from schemas.neighbours import FaceNeighbours, NeighboursFound
from schemas.topics import ASSIGNMENTS, LABELS
from stream import clients
from stream.reading import read_to_end

_LABELS = 5
_EARLIER_NEIGHBOURS = 32
_PUBLISHED_LABELS = 50
_MIN_CLUSTER_SIZE = 10
# Other assignments are waited for as long after the last one.
_QUIET_S = 1.0


@dataclass(frozen=True)
class Speed:
    """One measurement. others_changed: changed assignments of faces outside of the labelled clusters."""

    what: str
    faces: int
    seconds: float
    p99_seconds: float | None = None
    peak_mib: float | None = None
    others_changed: int | None = None


def one_cluster(faces: int) -> Iterator[Speed]:
    """The last of five labels in a cluster in which each face has 64 neighbours: a compact one, and a long chain."""
    for shape in ("compact", "chain"):
        generator = np.random.default_rng(0)
        clustering = Clustering(Parameters())
        for start in range(0, faces, 500):
            numbers = range(start, min(start + 500, faces))
            clustering.apply([_neighbours_found(number, shape, generator) for number in numbers])
        decisions = [_named(str(number), f"name {index}") for index, number in enumerate(_evenly(faces))]
        clustering.apply(decisions[:-1])
        before = peak_mib()
        started = time.perf_counter()
        delta = clustering.apply(decisions[-1:])
        seconds = time.perf_counter() - started
        suggestions = sum(1 for assignment in delta.assignments if assignment.soft_label)
        yield Speed(
            f"{_LABELS} names over a {shape} cluster, {suggestions} suggestions published",
            faces,
            seconds,
            peak_mib=peak_mib() - before,
        )


def through_kafka(faces: int, folder: Path) -> Speed:
    """From a decision published until the last of its suggestions is read, in clusters of ten faces or more."""
    with broker_and_feed(folder) as (running, subscriber, feed), Consumers(running, folder) as consumers:
        for entries in Archive(faces).batches(256):
            for entry in entries:
                feed.publish(entry)
        feed.wait_until_done(consumers)
        cluster_ids = {
            record.message.face_id: str(record.message.cluster_id)
            for record in read_to_end(running.kafka, ASSIGNMENTS)
            if isinstance(record.message, FaceAssigned)
        }
        clusters: dict[str, set[str]] = {}
        for face_id, cluster_id in cluster_ids.items():
            clusters.setdefault(cluster_id, set()).add(face_id)
        labelled = [members for members in clusters.values() if len(members) >= _MIN_CLUSTER_SIZE][:_PUBLISHED_LABELS]
        feed.skip()
        producer = clients.producer(running.kafka)
        times, others = [], 0
        for number, members in enumerate(labelled):
            record = encode(_named(min(members), f"name {number}"), event_id=uuid4().hex, time=datetime.now(UTC))
            started = time.perf_counter()
            producer.send(LABELS.name, value=record.value, key=record.key, headers=list(record.headers))
            producer.flush()
            seconds, outside = _seconds_until_assigned(subscriber, members, started)
            times.append(seconds)
            others += outside
        producer.close()
    return Speed(
        f"from `labels` to the last of its `assignments`, {len(times)} names",
        faces,
        float(np.median(times)),
        p99_seconds=float(np.percentile(times, 99)),
        others_changed=others,
    )


def _seconds_until_assigned(subscriber: KafkaConsumer, members: set[str], started: float) -> tuple[float, int]:
    """Seconds until an assignment of each member was read, and the number of other assignments read meanwhile."""
    missing, others = set(members), 0
    last = time.perf_counter()
    seconds = 0.0
    while missing or time.perf_counter() < last + _QUIET_S:
        for records in subscriber.poll(timeout_ms=20).values():
            keys = [record.key.decode() for record in records]
            others += sum(1 for key in keys if key not in members)
            missing -= set(keys)
            last = time.perf_counter()
            seconds = seconds or (0.0 if missing else last - started)
        if time.perf_counter() > started + 60:
            raise RuntimeError("the suggestions of a label were not published within a minute")
    return seconds, others


def _neighbours_found(number: int, shape: str, generator: np.random.Generator) -> NeighboursFound:
    near = range(max(0, number - _EARLIER_NEIGHBOURS), number)
    if shape == "compact" and number > _EARLIER_NEIGHBOURS:
        near = np.unique(generator.integers(0, number, _EARLIER_NEIGHBOURS)).tolist()
    face = FaceNeighbours(
        face_id=str(number),
        score=1.0,
        quality=QUALITY,
        neighbours=tuple(map(str, near)),
        analyses=tuple(near),
        distances=tuple(generator.uniform(0.2, EPS, len(near)).tolist()),
    )
    return NeighboursFound(
        scan_id=str(number),
        analysis=number,
        shard=0,
        shards=1,
        eps_max=EPS_MAX,
        published_at=PUBLISHED_AT,
        faces=(face,),
    )


def _named(face_id: str, name: str) -> FaceNamed:
    return FaceNamed(
        decision_id=f"{name} for {face_id}",
        author="benchmark",
        decided_at=PUBLISHED_AT,
        face_id=face_id,
        label_id=name,
        name=name,
    )


def _evenly(faces: int) -> list[int]:
    return [int(number) for number in np.linspace(0, faces - 1, _LABELS)]

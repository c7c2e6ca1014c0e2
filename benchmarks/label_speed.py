"""How fast a name spreads: through one large cluster, and from `labels` to `assignments` over a real broker."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from kafka import KafkaConsumer

from benchmarks.archive import Archive
from benchmarks.through_kafka import Consumers, fed
from clustering.clustering import Clustering, Parameters
from schemas.clusters import FaceAssigned
from schemas.codec import encode
from schemas.decisions import FaceNamed
from schemas.defaults import EPS, EPS_MAX
from schemas.faces import Quality
from schemas.neighbours import FaceNeighbours, NeighboursFound
from schemas.topics import ASSIGNMENTS, LABELS
from stream import clients
from stream.reading import read_to_end

_NAMES = 5
_REACH = 32
_LABELS = 50
_AT_LEAST = 10
_QUIET_S = 1.0
_THEN = datetime(1918, 2, 24, tzinfo=UTC)


@dataclass(frozen=True)
class Speed:
    """What was measured. others_changed: assignments outside of the cluster in which a name was given."""

    what: str
    faces: int
    seconds: float
    p99_seconds: float | None = None
    peak_mib: float | None = None
    others_changed: int | None = None


def one_cluster(faces: int) -> Iterator[Speed]:
    """The last of five names in a cluster in which each face has 64 neighbours: a compact one, and a long chain."""
    for shape in ("compact", "chain"):
        generator = np.random.default_rng(0)
        clustering = Clustering(Parameters())
        for start in range(0, faces, 500):
            numbers = range(start, min(start + 500, faces))
            clustering.apply([_found(number, shape, generator) for number in numbers])
        given = [_named(str(number), f"name {place}") for place, number in enumerate(_evenly(faces))]
        clustering.apply(given[:-1])
        before = _peak_mib()
        started = time.perf_counter()
        delta = clustering.apply(given[-1:])
        seconds = time.perf_counter() - started
        told = sum(1 for it in delta.assignments if it.soft_label)
        yield Speed(
            f"{_NAMES} names over a {shape} cluster, {told} suggestions told",
            faces,
            seconds,
            peak_mib=_peak_mib() - before,
        )


def through_kafka(faces: int, folder: Path) -> Speed:
    """From a name published until the last suggestion that it makes is read, in clusters of ten faces and more."""
    with fed(folder) as (running, subscriber, feed), Consumers(running, folder) as consumers:
        for entries in Archive(faces).batches(256):
            for entry in entries:
                feed.publish(entry)
        feed.wait_until_done(consumers)
        belongs = {
            it.message.face_id: str(it.message.cluster_id)
            for it in read_to_end(running.kafka, ASSIGNMENTS)
            if isinstance(it.message, FaceAssigned)
        }
        clusters: dict[str, set[str]] = {}
        for face_id, cluster_id in belongs.items():
            clusters.setdefault(cluster_id, set()).add(face_id)
        named = [faces for faces in clusters.values() if len(faces) >= _AT_LEAST][:_LABELS]
        feed.skip()
        producer = clients.producer(running.kafka)
        times, others = [], 0
        for number, members in enumerate(named):
            record = encode(_named(min(members), f"name {number}"), event_id=uuid4().hex, time=datetime.now(UTC))
            started = time.perf_counter()
            producer.send(LABELS.name, value=record.value, key=record.key, headers=list(record.headers))
            producer.flush()
            seconds, outside = _seconds_until_told(subscriber, members, started)
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


def _seconds_until_told(subscriber: KafkaConsumer, members: set[str], started: float) -> tuple[float, int]:
    """Seconds until all members were told; and how many other assignments came by a second after the last one."""
    wanted, others = set(members), 0
    last = time.perf_counter()
    told = 0.0
    while wanted or time.perf_counter() < last + _QUIET_S:
        for records in subscriber.poll(timeout_ms=20).values():
            keys = [record.key.decode() for record in records]
            others += sum(1 for key in keys if key not in members)
            wanted -= set(keys)
            last = time.perf_counter()
            told = told or (0.0 if wanted else last - started)
        if time.perf_counter() > started + 60:
            raise RuntimeError("a name was not followed by its suggestions within a minute")
    return told, others


def _found(number: int, shape: str, generator: np.random.Generator) -> NeighboursFound:
    near = range(max(0, number - _REACH), number)
    if shape == "compact" and number > _REACH:
        near = np.unique(generator.integers(0, number, _REACH)).tolist()
    face = FaceNeighbours(
        face_id=str(number),
        score=1.0,
        quality=Quality(size_px=80, sharpness=50),
        neighbours=tuple(map(str, near)),
        analyses=tuple(near),
        distances=tuple(generator.uniform(0.2, EPS, len(near)).tolist()),
    )
    return NeighboursFound(
        scan_id=str(number), analysis=number, shard=0, shards=1, eps_max=EPS_MAX, published_at=_THEN, faces=(face,)
    )


def _named(face_id: str, name: str) -> FaceNamed:
    return FaceNamed(
        decision_id=f"{name} for {face_id}",
        author="benchmark",
        decided_at=_THEN,
        face_id=face_id,
        label_id=name,
        name=name,
    )


def _evenly(faces: int) -> list[int]:
    return [int(number) for number in np.linspace(0, faces - 1, _NAMES)]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

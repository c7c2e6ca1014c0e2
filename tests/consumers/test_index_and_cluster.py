"""Index and cluster on a real broker, fed with real embeddings: restarts, shards and generations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from consumers import cluster, index
from errors import Fatal
from schemas.base import Event
from schemas.clusters import FaceAssigned
from schemas.codec import encode, encoded
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import Box
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, NEIGHBOURS, Tombstone, Topic, of_generation, topic_of
from settings import KafkaSettings, Settings
from stream import clients
from stream.lag import lag_reader
from stream.reading import read_to_end
from stream.records import Received
from tests.conftest import broker

Run = Callable[[Settings, str, threading.Event, Callable[[], datetime]], None]

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MADE_BY = Provenance(engine="dlib", detector="a", landmarks="b", embedder="c", upsample=0, max_size=2000)
FACES_USED = 400


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def embeddings(shared_data: Path) -> np.ndarray:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as data:
        return np.asarray(data["E"][:FACES_USED])


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A broker of each test's own: its topics are whole histories."""
    with broker(tmp_path / "kafka") as kafka:
        yield Settings(data=tmp_path, kafka=kafka)


def analysed(number: int, vector: np.ndarray) -> ScanAnalysed:
    face = Face(
        face_id=f"face-{number:04}",
        box=Box(left=0.1, top=0.1, right=0.9, bottom=0.9),
        landmarks=((0.5, 0.5),) * 5,
        score=1.0,
        quality=Quality(size_px=100, sharpness=100),
        embedding=vector.astype("<f4").tobytes(),
    )
    return ScanAnalysed(
        scan_id=f"scan-{number:04}",
        sha256="0" * 64,
        published_at=NOON + timedelta(seconds=number),
        width=250,
        height=250,
        provenance=MADE_BY,
        faces=(face,),
    )


def publish(kafka: KafkaSettings, messages: Sequence[Event | Tombstone]) -> None:
    producer = clients.producer(kafka)
    for message in messages:
        record = encode(message, event_id=uuid4().hex, time=now())
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))
    producer.close()


@contextmanager
def running(settings: Settings, *runs: Run) -> Iterator[list[Future[None]]]:
    stop = threading.Event()
    with ThreadPoolExecutor(len(runs)) as pool:
        futures = [pool.submit(run, settings, "0", stop, now) for run in runs]
        try:
            yield futures
        finally:
            stop.set()
            # Also where the test has failed: it may have waited for one that had ended.
            for future in futures:
                future.result()


def wait_until_done(settings: Settings, stages: Mapping[str, Sequence[Topic]], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    with lag_reader(settings.kafka) as reader:
        while any(lags := reader.lags(stages).values()):
            assert time.monotonic() < deadline, f"still behind: {lags}"
            time.sleep(0.1)


BOTH: Mapping[str, Sequence[Topic]] = {index.GROUP: [FACES], cluster.GROUP: cluster.TOPICS}


def last_assigned(settings: Settings, generation: str | None = None) -> dict[str, FaceAssigned]:
    """What a reader of `assignments` knows, by face id."""
    latest: dict[str, FaceAssigned] = {}
    for it in read_to_end(settings.kafka, of_generation(ASSIGNMENTS, generation)):
        if isinstance(it.message, FaceAssigned):
            latest[it.message.face_id] = it.message
        elif isinstance(it.message, Tombstone):
            del latest[it.message.key]
    return latest


def assignments(settings: Settings, generation: str | None = None) -> dict[str, str | None]:
    return {face_id: it.cluster_id for face_id, it in last_assigned(settings, generation).items()}


def expected(vectors: np.ndarray, eps: float) -> dict[str, str | None]:
    """scikit-learn's clusters, each named after its oldest face."""
    labels = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors.astype(np.float64))
    oldest = {label: f"face-{np.flatnonzero(labels == label)[0]:04}" for label in set(labels.tolist())}
    return {f"face-{number:04}": oldest[label] for number, label in enumerate(labels.tolist())}


def test_restarts_search_nothing_again_and_end_as_scikit_learn(settings: Settings, embeddings: np.ndarray) -> None:
    scans = [analysed(number, vector) for number, vector in enumerate(embeddings)]
    for part in (scans[:150], scans[150:300], scans[300:]):
        publish(settings.kafka, part)
        with running(settings, index.run, cluster.run):
            wait_until_done(settings, BOTH)
    assert assignments(settings) == expected(embeddings, settings.clustering.eps)
    found = [it for it in read_to_end(settings.kafka, NEIGHBOURS) if isinstance(it.message, NeighboursFound)]
    assert len(found) == len(scans)
    assert list((settings.data / "snapshots" / "index").glob("snapshot-*"))


def test_damaged_snapshots_are_refused_and_told_and_the_log_is_read(
    settings: Settings, embeddings: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    scans = [analysed(number, vector) for number, vector in enumerate(embeddings[:200])]
    publish(settings.kafka, scans[:100])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings, BOTH)
    damaged = [path for pattern in ("vectors.npy", "*.npz") for path in (settings.data / "snapshots").rglob(pattern)]
    assert {path.relative_to(settings.data / "snapshots").parts[0] for path in damaged} == {"index", "cluster"}
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-100])
    publish(settings.kafka, scans[100:])
    capfd.readouterr()
    with running(settings, index.run, cluster.run):
        wait_until_done(settings, BOTH)
    told = capfd.readouterr().out
    assert all(
        f"{path if path.suffix == '.npz' else path.parent} is damaged and is not used" in told for path in damaged
    )
    assert assignments(settings) == expected(embeddings[:200], settings.clustering.eps)
    found = [it for it in read_to_end(settings.kafka, NEIGHBOURS) if isinstance(it.message, NeighboursFound)]
    assert len(found) == len(scans), "searched again"


def test_snapshots_of_another_broker_are_not_taken_for_this_ones(
    tmp_path: Path, embeddings: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other's offset is one that this log has passed, too: by its offset alone the snapshot would do."""
    with broker(tmp_path / "other") as kafka:
        other = Settings(data=tmp_path, kafka=kafka)
        publish(other.kafka, [analysed(number, vector) for number, vector in enumerate(embeddings[200:300])])
        with running(other, index.run, cluster.run):
            wait_until_done(other, BOTH)
    with broker(tmp_path / "this") as kafka:
        away, this = Settings(data=tmp_path / "away", kafka=kafka), Settings(data=tmp_path, kafka=kafka)
        publish(kafka, [analysed(number, vector) for number, vector in enumerate(embeddings[:150])])
        with running(away, index.run, cluster.run):
            wait_until_done(away, BOTH)
        publish(kafka, [analysed(number, vector) for number, vector in enumerate(embeddings[150:200], 150)])
        with running(this, index.run, cluster.run):
            wait_until_done(this, BOTH)
        assert assignments(this) == expected(embeddings[:200], this.clustering.eps)
    assert "they are of another topic faces" in capfd.readouterr().out


def test_shards_add_up_to_the_same_and_their_number_cannot_change(settings: Settings, embeddings: np.ndarray) -> None:
    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(embeddings[:200])])
    shards: list[Run] = [partial(index.run, shard=number, shards=2) for number in range(2)]
    stages = {index.group_of(number, 2): [FACES] for number in range(2)} | {cluster.GROUP: cluster.TOPICS}
    with running(settings, *shards, cluster.run):
        wait_until_done(settings, stages)
    assert assignments(settings) == expected(embeddings[:200], settings.clustering.eps)
    with pytest.raises(Fatal, match="shard count of 2, not 1"), running(settings, index.run):
        pass


def test_another_generation_runs_beside_the_live_one(settings: Settings, embeddings: np.ndarray) -> None:
    """It begins in the middle, and is neither seen by those who follow the live one nor in its snapshots."""
    scans = [analysed(number, vector) for number, vector in enumerate(embeddings[:200])]
    publish(settings.kafka, scans[:120])
    green = Settings.model_validate(settings.model_dump() | {"clustering": {"eps": 0.44}})
    with running(settings, index.run, cluster.run):
        wait_until_done(settings, BOTH)
        before = list(read_to_end(settings.kafka, ASSIGNMENTS))
        with running(green, partial(cluster.run, generation="green")):
            wait_until_done(settings, {"cluster-green": cluster.TOPICS})
            assert list(read_to_end(settings.kafka, ASSIGNMENTS)) == before
            publish(settings.kafka, scans[120:])
            wait_until_done(settings, {**BOTH, "cluster-green": cluster.TOPICS})
    assert assignments(settings, "green") == expected(embeddings[:200], 0.44)
    assert assignments(settings) == expected(embeddings[:200], 0.37)
    for topic, by in (
        (ASSIGNMENTS, "cluster"),
        (CLUSTERS, "cluster"),
        (of_generation(CLUSTERS, "green"), "cluster-green"),
    ):
        said = list(read_to_end(settings.kafka, topic))
        assert said
        assert {dict(it.record.headers)["ce_source"] for it in said} == {f"facestream/{by}".encode()}
    snapshots = {path.parent.name for path in (settings.data / "snapshots").glob("cluster*/*.npz")}
    assert snapshots == {"cluster", "cluster-green"}


def test_another_eps_is_carried_out_on_a_restart(settings: Settings, embeddings: np.ndarray) -> None:
    publish(settings.kafka, [analysed(number, vector) for number, vector in enumerate(embeddings[:200])])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings, BOTH)
    recall = Settings.model_validate(settings.model_dump() | {"clustering": {"eps": 0.44}})
    with running(recall, cluster.run):
        deadline = time.monotonic() + 30
        while assignments(settings) != expected(embeddings[:200], 0.44):
            assert time.monotonic() < deadline, "the difference was not published"
            time.sleep(0.3)


def test_what_is_live_and_what_was_published_differ_by_what_must_be_said() -> None:
    def assignment(face_id: str, cluster_id: str) -> FaceAssigned:
        said = {"face_id": face_id, "scan_id": "s", "analysis": 1, "cluster_id": cluster_id, "role": "core"}
        return FaceAssigned.model_validate(said)

    published = [assignment("same", "a"), assignment("moved", "a"), assignment("gone", "a")]
    live = [assignment("same", "a"), assignment("moved", "b"), assignment("new", "b")]
    said = cluster.difference(live, {it.face_id: encoded(it) for it in published})
    assert said == [assignment("moved", "b"), assignment("new", "b"), Tombstone(ASSIGNMENTS, "gone")]


def test_an_analysis_that_cannot_be_searched_becomes_a_dead_letter() -> None:
    broken = analysed(0, np.zeros(64, dtype=np.float32))
    record = encode(broken, event_id="1", time=NOON)
    entries, (rejected,) = index.said([Received("faces", 0, 7, record, broken)])
    assert entries == []
    assert "has length 64, not 128" in rejected.reason

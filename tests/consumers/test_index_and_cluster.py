"""Index and cluster on a real broker, restarts, shards and generations."""

from __future__ import annotations

import hashlib
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from consumers import cluster, index
from errors import Fatal
from index.face_index import FaceIndex
from index.parameters import Parameters
from index.snapshot import _CONTENT
from schemas.codec import encode
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, NEIGHBOURS, Tombstone, of_generation
from settings import KafkaSettings, Settings
from stream.reading import read_to_end
from stream.records import Received, Rejected
from stream.shards import group_of
from tests.builders.analyses import album, one_face_scan, one_face_scans
from tests.builders.clock import NOON
from tests.builders.kafka import Run, broker, publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments, dbscan_clusters


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Faces of some seventy people in an order of chance."""
    return np.random.default_rng(1).permutation(album(400, a_person=6).vectors)


def test_restarts_search_nothing_again_and_end_as_scikit_learn(settings: Settings, embeddings: np.ndarray) -> None:
    scans = one_face_scans(embeddings)
    for some in (scans[:150], scans[150:300], scans[300:]):
        publish(settings.kafka, some)
        with running(settings, index.run, cluster.run):
            wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    assert assignments(settings) == dbscan_clusters(embeddings, settings.clustering.eps)
    found = [
        received
        for received in read_to_end(settings.kafka, NEIGHBOURS)
        if isinstance(received.message, NeighboursFound)
    ]
    assert len(found) == len(scans)
    assert list((settings.data / "snapshots" / "index").glob("snapshot-*"))


def test_damaged_snapshots_are_skipped_with_a_warning_and_the_topic_is_read(
    settings: Settings, embeddings: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    scans = one_face_scans(embeddings[:200])
    publish(settings.kafka, scans[:100])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    damaged = [path for pattern in ("vectors.npy", "*.npz") for path in (settings.data / "snapshots").rglob(pattern)]
    assert {path.relative_to(settings.data / "snapshots").parts[0] for path in damaged} == {"index", "cluster"}
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-100])
    publish(settings.kafka, scans[100:])
    capfd.readouterr()
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    printed = capfd.readouterr().out
    assert all(
        f"{path if path.suffix == '.npz' else path.parent} is damaged and is not used" in printed for path in damaged
    )
    assert assignments(settings) == dbscan_clusters(embeddings[:200], settings.clustering.eps)
    found = [
        received
        for received in read_to_end(settings.kafka, NEIGHBOURS)
        if isinstance(received.message, NeighboursFound)
    ]
    assert len(found) == len(scans), "searched again"


def test_snapshots_of_another_broker_are_not_used(
    tmp_path: Path, empty_kafka: KafkaSettings, embeddings: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other's offset is also one of this broker's topic: by its offset alone the snapshot would be used."""
    with broker(tmp_path / "other") as kafka:
        other = Settings(data=tmp_path, kafka=kafka)
        publish(other.kafka, one_face_scans(embeddings[200:300]))
        with running(other, index.run, cluster.run):
            wait_until_done(other.kafka, INDEX_AND_CLUSTER)
    away, this = (Settings(data=data, kafka=empty_kafka) for data in (tmp_path / "away", tmp_path))
    publish(empty_kafka, one_face_scans(embeddings[:150]))
    with running(away, index.run, cluster.run):
        wait_until_done(away.kafka, INDEX_AND_CLUSTER)
    publish(empty_kafka, one_face_scans(embeddings[150:200], 150))
    with running(this, index.run, cluster.run):
        wait_until_done(this.kafka, INDEX_AND_CLUSTER)
    assert assignments(this) == dbscan_clusters(embeddings[:200], this.clustering.eps)
    assert "they are of another topic faces" in capfd.readouterr().out


def test_shards_add_up_to_the_same_and_their_number_cannot_change(settings: Settings, embeddings: np.ndarray) -> None:
    publish(settings.kafka, one_face_scans(embeddings[:200]))
    shards: list[Run] = [partial(index.run, shard=number, shards=2) for number in range(2)]
    stages = {group_of(number, 2): [FACES] for number in range(2)} | {cluster.GROUP: cluster.TOPICS}
    with running(settings, *shards, cluster.run):
        wait_until_done(settings.kafka, stages)
    assert assignments(settings) == dbscan_clusters(embeddings[:200], settings.clustering.eps)
    with pytest.raises(Fatal, match="shard count of 2, not 1"), running(settings, index.run):
        pass


def test_another_generation_runs_beside_the_live_one(settings: Settings, embeddings: np.ndarray) -> None:
    """It starts in the middle, and appears neither in the topics of the live one nor in its snapshots."""
    scans = one_face_scans(embeddings[:200])
    publish(settings.kafka, scans[:120])
    green = Settings.model_validate(settings.model_dump() | {"clustering": {"eps": 0.44}})
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        before = list(read_to_end(settings.kafka, ASSIGNMENTS))
        with running(green, partial(cluster.run, generation="green")):
            wait_until_done(settings.kafka, {"cluster-green": cluster.TOPICS})
            assert list(read_to_end(settings.kafka, ASSIGNMENTS)) == before
            publish(settings.kafka, scans[120:])
            wait_until_done(settings.kafka, {**INDEX_AND_CLUSTER, "cluster-green": cluster.TOPICS})
    assert dbscan_clusters(embeddings[:200], 0.44) != dbscan_clusters(embeddings[:200], 0.37)
    assert assignments(settings, "green") == dbscan_clusters(embeddings[:200], 0.44)
    assert assignments(settings) == dbscan_clusters(embeddings[:200], 0.37)
    for topic, by in (
        (ASSIGNMENTS, "cluster"),
        (CLUSTERS, "cluster"),
        (of_generation(CLUSTERS, "green"), "cluster-green"),
    ):
        records = list(read_to_end(settings.kafka, topic))
        assert records
        assert {dict(record.record.headers)["ce_source"] for record in records} == {f"facestream/{by}".encode()}
    snapshots = {path.parent.name for path in (settings.data / "snapshots").glob("cluster*/*.npz")}
    assert snapshots == {"cluster", "cluster-green"}


def test_another_eps_takes_effect_on_a_restart(settings: Settings, embeddings: np.ndarray) -> None:
    publish(settings.kafka, one_face_scans(embeddings[:200]))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    recall = Settings.model_validate(settings.model_dump() | {"clustering": {"eps": 0.44}})
    with running(recall, cluster.run):
        deadline = time.monotonic() + 30
        while assignments(settings) != dbscan_clusters(embeddings[:200], 0.44):
            assert time.monotonic() < deadline, "the difference was not published"
            time.sleep(0.3)


def test_a_face_that_another_scan_has_is_a_dead_letter_of_the_index() -> None:
    one = one_face_scan(0, np.zeros(128, dtype=np.float32))
    other = one.model_copy(update={"scan_id": "other"})
    record = encode(one, event_id="1", time=NOON)

    def received(offset: int, message: ScanAnalysed | Tombstone) -> Received:
        return Received("faces", 0, offset, record, message)

    face_index = FaceIndex(Parameters())
    rejected, _ = index.step(face_index, [received(0, one), received(1, other)])
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "face 'face-0000' belongs to another scan, 'scan-0000'"
    # The index of a snapshot knows it too; a withdrawn scan has no face any more.
    face_index = FaceIndex.of_state(Parameters(), face_index.state(), None)
    assert any(isinstance(output, Rejected) for output in index.step(face_index, [received(2, other)]))
    outputs = index.step(face_index, [received(3, Tombstone(FACES, one.scan_id)), received(4, other)])
    assert not any(isinstance(output, Rejected) for output in outputs)


def as_of_a_later_format(snapshot: Path) -> None:
    """Change the format that a snapshot says it has."""
    if snapshot.name == "manifest.json":
        manifest = json.loads(snapshot.read_text())
        manifest[_CONTENT]["format"] += 1
        content = json.dumps(manifest[_CONTENT], sort_keys=True).encode()
        manifest["sha256"] = hashlib.sha256(content).hexdigest()
        snapshot.write_text(json.dumps(manifest))
        return
    with np.load(snapshot) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["made"]))
    header["format"] += 1
    np.savez(snapshot, **arrays | {"made": np.array(json.dumps(header))})


def test_snapshots_of_a_later_format_are_not_used_and_what_they_held_is_read_again(
    settings: Settings, embeddings: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    scans = one_face_scans(embeddings[:120])
    publish(settings.kafka, scans[:100])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    snapshots = [
        path for pattern in ("manifest.json", "*.npz") for path in (settings.data / "snapshots").rglob(pattern)
    ]
    for path in snapshots:
        as_of_a_later_format(path)
    published = {topic: list(read_to_end(settings.kafka, topic)) for topic in (NEIGHBOURS, ASSIGNMENTS, CLUSTERS)}
    capfd.readouterr()
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        # Nothing is published again because of it.
        assert published == {topic: list(read_to_end(settings.kafka, topic)) for topic in published}
        publish(settings.kafka, scans[100:])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    printed = capfd.readouterr().out
    assert {path.parts[-3] for path in snapshots if path.name == "manifest.json"} == {"index"}
    assert all(str(path if path.suffix == ".npz" else path.parent) in printed for path in snapshots)
    assert printed.count("its format is") == len(snapshots)
    assert assignments(settings) == dbscan_clusters(embeddings[:120], settings.clustering.eps)

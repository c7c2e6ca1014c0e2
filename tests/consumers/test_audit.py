"""The index audits itself on a real broker: what HNSW missed is published once, and never after a withdrawal."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from cli.supervisor import as_environment
from consumers import cluster, index
from consumers.audit import AuditProgress
from index.entries import Analysed
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Tombstone
from settings import KafkaSettings, Settings
from stream.reading import read_to_end
from stream.shards import group_of
from tests.builders.analyses import edges_in, one_face_scans, people, true_edges
from tests.builders.commands import facestream_json, facestream_output
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments, audited, dbscan_clusters, wait_for_audit

VECTORS = people(1_500, a_person=15)
EPS = 0.4


@pytest.fixture
def settings(tmp_path: Path, empty_kafka: KafkaSettings) -> Settings:
    """An empty broker, and an index with so few connections that many pairs are missed."""
    return Settings.model_validate(
        {
            "data": tmp_path,
            "kafka": empty_kafka.model_dump(),
            "index": {"exact_below": 10, "m": 2, "ef_construction": 8, "ef": 8},
            "clustering": {"eps": EPS},
        }
    )


def records(settings: Settings) -> list[NeighboursFound | Tombstone]:
    messages = [received.message for received in read_to_end(settings.kafka, NEIGHBOURS)]
    return [message for message in messages if isinstance(message, NeighboursFound | Tombstone)]


def entries(settings: Settings) -> list[Analysed]:
    """The live analyses, as `faces` has them."""
    batch = list(read_to_end(settings.kafka, FACES))
    last = {entry.scan_id: entry for entry in index.index_entries(FaceIndex(Parameters()), batch)[0]}
    return [entry for entry in last.values() if isinstance(entry, Analysed)]


def test_what_was_missed_is_published_once_and_the_graph_is_exact(settings: Settings) -> None:
    publish(settings.kafka, one_face_scans(VECTORS[:1_200]))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
    first = audited(settings)
    live = entries(settings)
    truth = true_edges(live)
    assert edges_in(records(settings), live).keys() == truth.keys()
    assert first.pairs == len(truth)
    assert 0 < first.recall < 0.99
    times = Counter(record.key for record in records(settings))
    assert set(times.values()) == {1, 2}
    assert list(times.values()).count(2) == first.republished
    assert assignments(settings) == dbscan_clusters(VECTORS[:1_200], EPS)

    publish(settings.kafka, one_face_scans(VECTORS[1_200:], 1_200))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
    assert assignments(settings) == dbscan_clusters(VECTORS, EPS)
    after = Counter(record.key for record in records(settings))
    assert {key: after[key] for key in times} == times, "audited again after a restart"


def test_shards_are_audited_each_by_its_owner(settings: Settings) -> None:
    publish(settings.kafka, one_face_scans(VECTORS))
    shards = [partial(index.run, shard=number, shards=2) for number in range(2)]
    with running(settings, *shards):
        wait_until_done(settings.kafka, {group_of(number, 2): [FACES] for number in range(2)})
        wait_for_audit(settings, shards=2)
    live = entries(settings)
    truth = true_edges(live)
    assert edges_in(records(settings), live).keys() == truth.keys()
    both = [audited(settings, shard, 2) for shard in range(2)]
    assert sum(progress.pairs for progress in both) == len(truth)
    assert [progress.scans for progress in both] == [1_500, 1_500]
    assert all(progress.found < progress.pairs for progress in both)


def test_nothing_is_published_of_a_scan_after_it_was_withdrawn(settings: Settings) -> None:
    scans = one_face_scans(VECTORS)
    publish(settings.kafka, scans)
    with running(settings, index.run, cluster.run):
        for start in range(0, 1_500, 100):
            time.sleep(0.2)
            publish(settings.kafka, [Tombstone(FACES, scan.scan_id) for scan in scans[start : start + 100 : 2]])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    last = {record.key: record for record in records(settings)}
    gone = [key for key, record in last.items() if isinstance(record, Tombstone)]
    assert sorted(gone) == [f"0/scan-{number:04}" for number in range(0, 1_500, 2)]
    left = assignments(settings)
    assert sorted(left) == [f"face-{number:04}" for number in range(1, 1_500, 2)]
    live = entries(settings)
    assert edges_in(records(settings), live).keys() == true_edges(live).keys()


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings for a command that is called."""
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)


@pytest.mark.process
@pytest.mark.usefixtures("environment")
def test_the_command_waits_for_a_running_index_or_runs_one_itself(settings: Settings) -> None:
    assert facestream_json("audit") == [{
        "scans": 0, "records_left": 0, "pairs": 0, "found": 0, "recall": 1.0, "mended": 0, "said_again": 0,
        "without_record": None,
    }]  # fmt: skip
    publish(settings.kafka, one_face_scans(VECTORS[:1_000]))
    with running(settings, index.run):
        wait_until_done(settings.kafka, {index.GROUP: [FACES]})
        (first,) = facestream_json("audit", "--all")
        publish(settings.kafka, one_face_scans(VECTORS[1_000:], 1_000))
        wait_until_done(settings.kafka, {index.GROUP: [FACES]})
    assert 0 < first["found"] < first["pairs"]
    (last,) = facestream_json("audit", "--all")
    live = entries(settings)
    assert last["pairs"] == len(true_edges(live)) == last["found"] + last["mended"]
    assert (last["scans"], last["recall"]) == (1_500, last["found"] / last["pairs"])
    assert edges_in(records(settings), live).keys() == true_edges(live).keys()
    assert f"{last['recall']:.6f}" in facestream_output("audit")


def test_an_audit_of_an_exact_search_has_nothing_to_correct(settings: Settings) -> None:
    exact = settings.model_copy(update={"index": settings.index.model_copy(update={"exact_below": 10_000})})
    publish(exact.kafka, one_face_scans(VECTORS[:500]))
    with running(exact, index.run):
        wait_until_done(exact.kafka, {index.GROUP: [FACES]})
        wait_for_audit(exact)
    done = audited(exact)
    assert (done.scans, done.republished, done.found) == (500, 0, done.pairs)


def test_checkpoint_metadata_keeps_the_names_that_older_commits_have() -> None:
    stored = '{"offset":9,"analysis":7,"scans":5,"said_again":2,"pairs":20,"found":18}'
    progress = AuditProgress.from_metadata(stored)
    assert (progress.offset, progress.analysis, progress.republished, progress.recall) == (9, 7, 2, 0.9)
    assert progress.model_dump_json() == stored

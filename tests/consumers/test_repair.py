"""What `neighbours` lacks, or has too much, is found and mended; on a real broker."""

from __future__ import annotations

import threading

import pytest

from cli.supervisor import as_environment
from consumers import cluster, index
from consumers.repair import Repair
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Tombstone
from settings import Settings
from stream.reading import latest_events
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import now, wait_until
from tests.builders.commands import facestream, facestream_json, facestream_output
from tests.builders.kafka import commit, end_session, publish, recreate, running, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, assignments, dbscan_clusters, wait_for_audit

VECTORS = people(60, a_person=6)
INDEX = {index.GROUP: [FACES]}


def records(settings: Settings) -> dict[str, NeighboursFound]:
    return latest_events(settings.kafka, NEIGHBOURS, NeighboursFound, lambda record: record)


@pytest.mark.process
def test_scans_without_a_record_are_counted_and_repaired_and_records_without_a_scan_are_withdrawn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    publish(settings.kafka, one_face_scans(VECTORS))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
        eps = settings.clustering.eps
        assert eps is not None
        before = records(settings)
        # Somebody deletes records, and writes one of a scan that is not there.
        stray = before["0/scan-0007"].model_copy(update={"scan_id": "stray", "faces": ()})
        publish(settings.kafka, [*(Tombstone(NEIGHBOURS, f"0/scan-{number:04}") for number in range(5)), stray])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
        assert facestream_json("audit", "--all")[0]["without_record"] == 5
        refused = facestream("index", "--repair", "--member", "repair")
        assert (refused.returncode, "the index consumer is running" in refused.stderr) == (1, True)
    end_session(settings.kafka, index.GROUP)
    printed = facestream_output("index", "--repair", "--member", "repair")
    assert printed.splitlines() == ["scans without neighbours, published: 5", "neighbours without a scan, withdrawn: 1"]
    assert records(settings).keys() == before.keys()
    again: list[Repair] = []
    index.run(settings, "repair", threading.Event(), now, repaired=again.append)
    assert again and not any(again)
    with running(settings, cluster.run):
        wait_until_done(settings.kafka, {cluster.GROUP: cluster.TOPICS})
    assert assignments(settings) == dbscan_clusters(VECTORS, eps)


def test_a_repair_reads_all_that_is_there_before_it_ends(settings: Settings) -> None:
    # More than one poll gives.
    scans = one_face_scans(people(600, a_person=6))
    publish(settings.kafka, scans)
    index.run(settings, "repair", threading.Event(), now, repaired=lambda _: None)
    assert len(records(settings)) == len(scans)


def test_index_and_cluster_follow_a_topic_that_has_lost_records_or_is_recreated(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(settings.kafka, one_face_scans(VECTORS[:30]))
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
    # As after a restored backup: what was read is not there, its records are.
    commit(settings.kafka, index.GROUP, {("faces", 0): 1_000})
    commit(settings.kafka, cluster.GROUP, {("neighbours", 0): 1_000, ("labels", 0): 1_000})
    lost = records(settings)["0/scan-0007"].model_copy(update={"scan_id": "lost", "analysis": 999, "faces": ()})
    publish(settings.kafka, [lost])
    with running(settings, index.run, cluster.run):
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        publish(settings.kafka, one_face_scans(VECTORS[30:], 30))
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        eps = settings.clustering.eps
        assert eps is not None
        wait_until(lambda: assignments(settings) == dbscan_clusters(VECTORS, eps), "other clusters", 30)
        assert "0/lost" not in records(settings)

        recreate(settings.kafka, FACES)
        publish(settings.kafka, one_face_scans(VECTORS[:12]))
        wait_until(lambda: len(records(settings)) == 12, "other records", 60)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_until(lambda: assignments(settings) == dbscan_clusters(VECTORS[:12], eps), "other clusters", 30)
    out = capfd.readouterr().out
    assert "the topic faces has lost records that were read" in out
    assert "the topic neighbours has lost records that were read" in out
    assert "restore it from a backup: nothing else has the decisions of archivists" in out
    assert "the topic faces was deleted and recreated since it was read: the records of neighbours are compared" in out

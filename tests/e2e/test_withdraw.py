"""A person takes a scan back from the running system: nothing of it is left anywhere."""

from __future__ import annotations

from pathlib import Path

from catalogue import reader
from catalogue.connection import connect
from clustering import snapshot as clustering_snapshot
from consumers.cluster import parameters_of
from index import snapshot as index_snapshot
from index.parameters import Parameters
from producers.files import list_sources
from schemas.topics import ASSIGNMENTS, FACES, NEIGHBOURS, SCANS, Tombstone, Topic
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.commands import facestream
from tests.builders.system import StartSystem


def keys_live(kafka: KafkaSettings, topic: Topic) -> set[str]:
    """What a reader of a compacted topic holds at its end."""
    last = {it.record.key: it.message for it in read_to_end(kafka, topic)}
    return {str(key, "utf-8") for key, message in last.items() if key and not isinstance(message, Tombstone)}


def test_a_withdrawn_scan_is_gone_everywhere(start: StartSystem, sample: Path) -> None:
    with start() as running:
        kafka, data = running.settings.kafka, running.settings.data
        running.publish(list_sources([sample / "prints"]).sources[:4])
        running.wait_until_done()
        # The oldest face names the cluster: without it the cluster has to go on under another id.
        ((gone_face, gone),) = running.rows(
            "SELECT a.cluster_id, a.scan_id FROM assignments a WHERE a.cluster_id = a.face_id AND EXISTS "
            "(SELECT FROM assignments o WHERE o.cluster_id = a.cluster_id AND o.face_id <> a.face_id) LIMIT 1"
        )
        left = {str(scan_id) for (scan_id,) in running.rows("SELECT scan_id FROM scans")} - {gone}
        faces_left = {
            str(face_id) for face_id, scan_id in running.rows("SELECT face_id, scan_id FROM faces") if scan_id != gone
        }

        unknown = facestream("withdraw", gone, "never/was.jpg", "--data", data)
        assert unknown.returncode == 1
        assert unknown.stderr.strip() == "facestream: no scan 'never/was.jpg' is published: nothing was withdrawn"
        done = facestream("withdraw", gone, "--data", data)
        assert (done.returncode, done.stdout.strip()) == (0, "scans withdrawn: 1")
        running.wait_until_done()

        assert keys_live(kafka, SCANS) == keys_live(kafka, FACES) == left
        assert keys_live(kafka, NEIGHBOURS) == {f"0/{scan_id}" for scan_id in left}
        assert keys_live(kafka, ASSIGNMENTS) == faces_left
        for table in ("scans", "analyses", "faces", "assignments"):
            assert {str(scan_id) for (scan_id,) in running.rows(f"SELECT DISTINCT scan_id FROM {table}")} == left
        with connect(running.settings.database) as connection:
            successor = reader.current_cluster(connection, gone_face)
        assert successor in faces_left, "the superseded id does not lead to the rest of the cluster"
        assert facestream("withdraw", gone, "--data", data).returncode == 1
    settings = running.settings
    index = index_snapshot.load(data / "snapshots" / "index", Parameters(**settings.index.model_dump()))
    assert index.index.scans.keys() == left
    clusterer = clustering_snapshot.load(data / "snapshots" / "cluster", parameters_of(settings.clustering))
    assert {it.face_id for it in clusterer.clustering.assignments()} == faces_left
    assert (index.refused, clusterer.refused) == ((), ())
    assert index.offset > 0 < clusterer.offset

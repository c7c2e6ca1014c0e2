"""A snapshot that is older than the tombstones which its topic keeps, on a real broker whose compaction is quick."""

from __future__ import annotations

import shutil
import time
from itertools import count

import numpy as np
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from consumers import index
from schemas.faces import EMBEDDING_DIMENSIONS
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Tombstone
from settings import KafkaSettings, Settings
from stream import clients
from stream.reading import read_to_end
from tests.builders.analyses import one_face_scan, one_face_scans
from tests.builders.kafka import publish, running, wait_until_done

QUICK_COMPACTION = {"delete.retention.ms": "300", "segment.ms": "100", "min.cleanable.dirty.ratio": "0"}


def compact_quickly(kafka: KafkaSettings) -> None:
    admin = clients.admin(kafka)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, FACES.name, configs=QUICK_COMPACTION)])
    admin.close()


def wait_until_compacted(kafka: KafkaSettings, key: str) -> None:
    """Wait until the topic has no record of this key."""
    deadline = time.monotonic() + 60
    for number in count():
        # Only what lies before the segment that is written to is compacted.
        publish(kafka, [Tombstone(FACES, f"filler-{number}")])
        if all(
            received.message.key != key
            for received in read_to_end(kafka, FACES)
            if isinstance(received.message, Tombstone)
        ):
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the tombstone is still there")
        time.sleep(0.3)


@pytest.mark.parametrize("while_it_ran", [True, False])
def test_what_was_withdrawn_does_not_come_back_from_a_snapshot_that_is_older_than_the_tombstones_kept(
    settings: Settings,
    capfd: pytest.CaptureFixture[str],
    *,
    while_it_ran: bool,
) -> None:
    snapshots = settings.data / "snapshots"
    compact_quickly(settings.kafka)
    vectors = np.eye(EMBEDDING_DIMENSIONS)[:5]
    publish(settings.kafka, one_face_scans(vectors))
    with running(settings, index.run):
        wait_until_done(settings.kafka, {index.GROUP: [FACES]})

    publish(settings.kafka, [Tombstone(FACES, "scan-0000")])
    if while_it_ran:
        shutil.copytree(snapshots, settings.data / "old")
        with running(settings, index.run):
            wait_until_done(settings.kafka, {index.GROUP: [FACES]})
        # As if it had been killed before it saved a newer one.
        shutil.rmtree(snapshots)
        (settings.data / "old").rename(snapshots)
    wait_until_compacted(settings.kafka, "scan-0000")

    publish(settings.kafka, [one_face_scan(10, vectors[0] + 1e-3), one_face_scan(11, vectors[1] + 1e-3)])
    with running(settings, index.run):
        wait_until_done(settings.kafka, {index.GROUP: [FACES]})
    found = {
        received.message.scan_id: received.message.faces[0].neighbours
        for received in read_to_end(settings.kafka, NEIGHBOURS)
        if isinstance(received.message, NeighboursFound)
    }
    assert found["scan-0010"] == ()
    assert found["scan-0011"] == ("face-0001",)
    assert "tombstones of faces since offset" in capfd.readouterr().out

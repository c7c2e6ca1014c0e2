"""Consumers killed in the middle of a run: the tables end as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import time
from itertools import pairwise
from pathlib import Path

from catalogue.connection import connect
from local.services import services
from producers.files import list_sources
from settings import DatabaseSettings, Settings
from tests.builders.commands import Finished
from tests.builders.system import StartSystem

TABLES = {
    "analyses": "SELECT scan_id, sha256, width, height FROM analyses ORDER BY scan_id",
    "faces": "SELECT face_id, scan_id, box_left, box_top, score, embedding::text FROM faces ORDER BY face_id",
    "assignments": "SELECT face_id, scan_id, cluster_id, role FROM assignments ORDER BY face_id",
    "dead_letters": "SELECT key, reason FROM dead_letters ORDER BY key",
}


def test_killing_each_consumer_changes_nothing(start: StartSystem, sample: Path, sample_run: Finished) -> None:
    embedded = Settings(data=sample_run.data, database=DatabaseSettings())
    with (
        services(embedded, kafka=False, command="pytest") as settings,
        connect(settings.database) as connection,
    ):
        undisturbed = {name: connection.execute(query.encode()).fetchall() for name, query in TABLES.items()}
    assert undisturbed["assignments"]

    chance = random.Random(11)
    victims = ["detect", "index", "cluster", "catalogue"] * 2
    chance.shuffle(victims)
    sources = list_sources([sample]).sources
    assert len(sources) == 28
    ends = [len(sources) * number // len(victims) for number in range(len(victims) + 1)]
    portions = [sources[first:last] for first, last in pairwise(ends)]
    with start() as running:
        for victim, portion in zip(victims, portions, strict=True):
            running.publish(portion)
            time.sleep(chance.uniform(0.0, 1.0))
            os.kill(running.supervisor.processes[victim], signal.SIGKILL)
            running.supervisor.check()
        running.wait_until_done()
        assert {name: running.rows(query) for name, query in TABLES.items()} == undisturbed

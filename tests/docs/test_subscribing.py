"""The examples of docs/subscribing.md run as they stand there, beside a running system."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from consumers import catalogue, cluster, index
from local import access
from schemas.examples import EXAMPLES
from schemas.faces import ScanAnalysed
from schemas.generations import GenerationPromoted
from schemas.scans import ScanPublished
from schemas.topics import FACES, Tombstone
from settings import KafkaSettings, Settings
from stream.stages import STAGES
from tests.builders.analyses import one_face_scan
from tests.builders.catalogue import published
from tests.builders.clock import wait_until
from tests.builders.database import empty_database
from tests.builders.kafka import publish, running, wait_until_done
from tests.builders.tools import tool

_TEXT = (Path(__file__).parents[2] / "docs" / "subscribing.md").read_text(encoding="utf-8")
_STAGES = {name: topics for name, topics in STAGES.items() if name != "detect"}


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _TEXT, re.DOTALL)


def face_of(number: int, person: int, years_ago: int = 0) -> tuple[ScanPublished, ScanAnalysed]:
    """A scan with one face of a person, and its analysis; the oldest face names the cluster."""
    vector = np.zeros(128, np.float32)
    vector[person] = 1 + number * 1e-4
    analysis = one_face_scan(number, vector)
    at = analysis.published_at - timedelta(days=365 * years_ago)
    return published(analysis.scan_id, published_at=at), analysis.model_copy(update={"published_at": at})


@dataclass(frozen=True)
class Archive:
    """A running system without detect, and a folder in which `data/kafka/client.conf` is that of its broker."""

    settings: Settings
    folder: Path

    def add(self, *scans: tuple[ScanPublished, ScanAnalysed]) -> None:
        """Scans as detect would have analysed them; returns when they are in the catalogue."""
        publish(self.settings.kafka, [message for scan in scans for message in scan])
        self.wait()

    def wait(self) -> None:
        wait_until_done(self.settings.kafka, _STAGES)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, kafka: KafkaSettings, server: str) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("subscriber")
    (folder / "data" / "kafka").mkdir(parents=True)
    assert kafka.sasl_password is not None
    port = str(kafka.bootstrap_servers).rpartition(":")[2]
    access.keep(folder / "data" / "kafka", access.Access(int(port), kafka.sasl_password))
    with ExitStack() as stack:
        database = stack.enter_context(empty_database(server))
        settings = Settings(data=folder / "data", kafka=kafka, database=database)
        stack.enter_context(running(settings, index.run, cluster.run, catalogue.run))
        yield Archive(settings, folder)


@dataclass
class Subscriber:
    """An example in a process of its own, and what it has printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def wait_for(self, line: str) -> None:
        wait_until(
            lambda: line in self.lines or self.process.poll() is not None, lambda: f"no {line!r} in {self.lines}"
        )
        assert line in self.lines, self.lines


@contextmanager
def subscriber(archive: Archive, example: str) -> Iterator[Subscriber]:
    with subprocess.Popen(
        [sys.executable, "-c", example],
        cwd=archive.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = Subscriber(process)
        stdout = process.stdout
        reader = threading.Thread(target=lambda: found.lines.extend(map(str.rstrip, stdout)))
        reader.start()
        try:
            yield found
        finally:
            process.kill()
            reader.join()


def test_with_confluent_kafka_all_faces_are_there_and_then_what_follows(archive: Archive) -> None:
    archive.add(face_of(1, person=1), face_of(2, person=1))
    (example,) = [it for it in examples("python") if "confluent_kafka" in it and "generations" not in it]
    with subscriber(archive, example) as found:
        found.wait_for("face: face-0002 face-0001")
        wait_until(lambda: any(line.startswith("complete:") for line in found.lines), "it is never complete")
        archive.add(face_of(3, person=1))
        found.wait_for("face: face-0003 face-0001")
        publish(archive.settings.kafka, [Tombstone(FACES, "scan-0003")])
        found.wait_for("gone: face-0003")


def test_a_promotion_says_which_topics_to_follow(archive: Archive) -> None:
    (example,) = [it for it in examples("python") if "generations" in it]
    with subscriber(archive, example) as found:
        found.wait_for("live: assignments clusters")
        # What is live already: the catalogue beside it sees no other.
        promoted = next(event for event in EXAMPLES.values() if isinstance(event, GenerationPromoted))
        publish(archive.settings.kafka, [promoted.model_copy(update={"generation": "blue"})])
        found.wait_for(f"live: {promoted.assignments} {promoted.clusters}")


def test_with_kafka_python_former_ids_lead_to_the_clusters_that_continue_them(archive: Archive) -> None:
    (example,) = [it for it in examples("python") if "from kafka import" in it]
    archive.add(face_of(11, person=2), face_of(12, person=2))
    archive.add(face_of(13, person=2, years_ago=1))
    with subscriber(archive, example) as found:
        found.wait_for("face-0011 is now face-0013")
        archive.add(face_of(14, person=2, years_ago=2))
        found.wait_for("face-0013 is now face-0014")


def test_with_kcat_the_topics_are_read_in_the_shell(archive: Archive) -> None:
    tool("kcat")
    archive.add(face_of(21, person=3), face_of(22, person=3))
    publish(archive.settings.kafka, [Tombstone(FACES, "scan-0022")])
    archive.wait()
    printed = [
        subprocess.run(
            ["/bin/sh", "-c", example], cwd=archive.folder, capture_output=True, text=True, timeout=60, check=True
        ).stdout.splitlines()
        for example in examples("sh")
    ]
    faces, changes = printed
    assert [line for line in faces if line.startswith('face-0021 {"face_id":"face-0021"')]
    assert "face-0022 NULL" in faces
    assert any('"ce_type","facestream.cluster.changed.v1"' in line.replace('", "', '","') for line in changes)


def test_with_sql_the_views_have_the_same(archive: Archive) -> None:
    archive.add(face_of(31, person=4), face_of(32, person=4))
    archive.add(face_of(33, person=4, years_ago=1))
    first, follow = examples("sql")
    state, names, current = [it for it in first.split(";") if it.strip()]
    with psycopg.connect(str(archive.settings.database.url), autocommit=True) as connection:
        rows = connection.execute(state.encode()).fetchall()
        assert ("face-0032", "scan-0032", "face-0033", "core") in rows
        assert connection.execute(names.encode()).fetchall() == []
        former = current.replace("5d41402abc4b2a76", "face-0031")
        assert connection.execute(former.encode()).fetchall() == [("face-0033",)]
        changes = connection.execute(follow.replace("41", "-1").encode()).fetchall()
        assert [row[1:] for row in changes if row[1] == "face-0031"][-1] == ("face-0031", "merged", 0, "face-0033")


def test_the_views_have_the_columns_that_are_documented(archive: Archive) -> None:
    documented = {
        view: columns.split(", ") for view, columns in re.findall(r"^\| `(\w+)` \|[^|]*\| ([\w, ]+) \|$", _TEXT, re.M)
    }
    assert {"face_catalogue", "names", "people", "suggestions", "cluster_changes"} <= set(documented)
    with psycopg.connect(str(archive.settings.database.url), autocommit=True) as connection:
        for view, columns in documented.items():
            query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
            assert [name for (name,) in connection.execute(query, (view,))] == columns

"""Generations under a running system: kept following, promoted under load, and as good as a fresh archive."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalogue.connection import connect
from cli.generation_consumers import run_catalogue, run_clusterer, run_first_clusterer
from consumers import catalogue, cluster, index
from schemas.clusters import FaceAssigned
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.generations import read_generations, topics_of
from stream.reading import latest_events
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import wait_until
from tests.builders.commands import facestream, facestream_json, facestream_output
from tests.builders.generations import archive_settings, first_generation, places_of, wait_for_tables
from tests.builders.kafka import empty, publish, running, wait_until_done
from tests.builders.neighbours import record
from tests.builders.pipeline import INDEX_AND_CLUSTER, last_assigned

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(3600)]

# How many faces are replayed and compared with a fresh archive: REPLAYED=100000 takes some ten minutes.
_REPLAYED = int(os.environ.get("REPLAYED", "3000"))
_WITHIN_S = 120 + _REPLAYED / 100
# Few would be read before the first scan is published meanwhile.
_HELD_BACK: tuple[object, ...] = ("--max-rate", 400) if _REPLAYED < 10_000 else ()


@pytest.fixture
def settings(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return archive_settings(tmp_path, empty_kafka, database, monkeypatch)


@contextmanager
def up(settings: Settings) -> Iterator[None]:
    """The command `up` runs."""
    log = settings.data / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "cli.main", "up"], stdout=output, stderr=output)
        try:
            wait_until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, "it does not start", 120)
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=90) == 0, log.read_text()


def lags() -> dict[str, int]:
    (status,) = facestream_json("status")
    lag: dict[str, int] = status["lag"]
    return lag


def test_a_running_system_follows_all_generations_until_they_are_retired(settings: Settings) -> None:
    vectors = people(300, a_person=6, seed=3)
    publish(settings.kafka, one_face_scans(vectors[:200]))
    with up(settings):
        wait_until(lambda: not any(lags().values()), lambda: f"behind: {lags()}", 120)
        facestream_output("replay", "--into", "green", "--eps", 0.3, "--yes")
        wait_until(lambda: {"cluster-green", "catalogue-green"} <= lags().keys(), "nobody follows it", 60)
        publish(settings.kafka, one_face_scans(vectors[200:], first=200))
        wait_until(lambda: not any(lags().values()), lambda: f"behind: {lags()}", 120)
        assert len(places_of(settings, "green")) == len(places_of(settings, "blue")) == 300
        facestream_output("promote", "green")
        facestream_output("rollback")
        facestream_output("retire", "green", "--yes")
        wait_until(lambda: "cluster-green" not in lags(), "it is still followed", 60)
        publish(settings.kafka, one_face_scans(people(20, a_person=5, seed=4), first=300))
        wait_until(lambda: not any(lags().values()), lambda: f"behind: {lags()}", 120)
    assert len(places_of(settings, "blue")) == 320
    assert places_of(settings, "green") == {}


def test_readers_of_sql_and_of_topics_never_see_a_mixture_while_generations_are_promoted_under_load(
    settings: Settings,
) -> None:
    """Each scan has two faces, which are apart in blue, and together in wide."""
    stop = threading.Event()
    seen: set[tuple[str, str]] = set()
    wrong: list[tuple[Any, ...]] = []
    numbers = itertools.count()

    def scans(count: int) -> list[Any]:
        return [
            record(f"{n}.jpg", n, {f"x{n}": [], f"y{n}": [(f"x{n}", n, 0.45)]}, shards=1, eps_max=0.5)
            for n in itertools.islice(numbers, count)
        ]

    def feed() -> None:
        while not stop.wait(0.2):
            publish(settings.kafka, scans(20))

    def judge(generation: str, together: int, apart: int, where: str) -> None:
        seen.add((where, generation))
        if (together if generation == "blue" else apart) or not together + apart:
            wrong.append((where, generation, together, apart))

    def read_tables() -> None:
        with connect(settings.database) as connection:
            while not stop.is_set():
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    ((together, apart, generation),) = connection.execute("""
                        SELECT count(*) FILTER (WHERE clusters = 1), count(*) FILTER (WHERE clusters = 2),
                               (SELECT generation FROM live_generation)
                        FROM (SELECT count(DISTINCT cluster_id) AS clusters FROM assignments
                              GROUP BY scan_id HAVING count(*) = 2) pair
                    """).fetchall()
                    ((largest,),) = connection.execute("SELECT max(size) FROM cluster_totals").fetchall()
                judge(generation, together, apart, "tables")
                if largest != (1 if generation == "blue" else 2):
                    wrong.append(("totals", generation, largest))

    def read_topics() -> None:
        while not stop.is_set():
            live = read_generations(settings.kafka)
            name = live.promoted.assignments if live.promoted else "assignments"
            topic = next(it for it in (topics_of(one)[0] for one in ("blue", "wide")) if it.name == name)
            places = latest_events(settings.kafka, topic, FaceAssigned, lambda event: event.cluster_id)
            others = {face: f"y{face[1:]}" for face in places if face.startswith("x")}
            pairs = [places[one] == places[other] for one, other in others.items() if other in places]
            judge(live.live, sum(pairs), len(pairs) - sum(pairs), "topics")

    with first_generation(settings, *scans(200)):
        facestream_output("replay", "--into", "wide", "--eps", 0.46, "--yes")
        with (
            running(
                settings,
                partial(run_clusterer, generation="wide", max_rate=None),
                partial(run_catalogue, generation="wide"),
            ),
            ThreadPoolExecutor(3) as pool,
        ):
            futures = [pool.submit(work) for work in (feed, read_tables, read_topics)]
            try:
                for command in (("promote", "wide"), ("rollback",), ("promote", "wide"), ("rollback",)):
                    done = facestream(*command)
                    assert done.returncode == 0, done.stderr
            finally:
                stop.set()
            for future in futures:
                future.result()
            wait_for_tables(settings)
    assert wrong == []
    assert seen == {(where, generation) for where in ("tables", "topics") for generation in ("blue", "wide")}


def test_a_replay_gives_what_a_fresh_archive_gives_while_the_live_generation_takes_scans(
    settings: Settings, tmp_path: Path, empty_kafka: KafkaSettings
) -> None:
    vectors = people(_REPLAYED, a_person=10, seed=8)
    before, step = _REPLAYED * 2 // 3, _REPLAYED // 30
    publish(settings.kafka, one_face_scans(vectors[:before]))
    with running(settings, index.run, run_first_clusterer, catalogue.run):
        wait_for_tables(settings, _WITHIN_S)
        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(
                facestream, *("replay", "--into", "green", "--eps", 0.3, "--min-samples", 2, "--yes"), *_HELD_BACK
            )
            for first in range(before, _REPLAYED, step):
                publish(settings.kafka, one_face_scans(vectors[first : first + step], first))
            assert building.result().returncode == 0, building.result().stderr
        with running(
            settings,
            partial(run_clusterer, generation="green", max_rate=None),
            partial(run_catalogue, generation="green"),
        ):
            everybody = "not all faces are there"
            wait_until(lambda: len(last_assigned(settings, "green")) == _REPLAYED, everybody, _WITHIN_S)
            wait_for_tables(settings, _WITHIN_S)
    built = last_assigned(settings, "green")
    in_tables = places_of(settings, "green")
    assert {face_id: one.cluster_id for face_id, one in built.items()} == in_tables

    empty(empty_kafka)
    parameters = settings.clustering.model_copy(update={"eps": 0.3, "min_samples": 2})
    fresh = Settings(data=tmp_path / "fresh", kafka=empty_kafka, clustering=parameters)
    publish(fresh.kafka, one_face_scans(vectors))
    with running(fresh, index.run, cluster.run):
        wait_until_done(fresh.kafka, INDEX_AND_CLUSTER, within_s=_WITHIN_S)
    expected = last_assigned(fresh)
    assert {face_id: (one.cluster_id, one.role) for face_id, one in built.items()} == {
        face_id: (one.cluster_id, one.role) for face_id, one in expected.items()
    }

"""`facestream replay --topic faces`: an index of the generation's own finds the neighbours again."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from cli.generation_consumers import run_catalogue, run_clusterer, run_first_clusterer, run_index
from consumers import catalogue, index
from schemas.neighbours import NeighboursFound
from schemas.topics import NEIGHBOURS, Record, of_generation
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.reading import end_of, latest_events
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import wait_until
from tests.builders.commands import Facestream, facestream_output
from tests.builders.generations import archive_settings, places_of, wait_for_tables
from tests.builders.kafka import end_session, publish, publish_record, running
from tests.builders.pipeline import assignments, dbscan_clusters

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]


def test_neighbours_are_found_again_up_to_another_distance_and_the_generation_goes_on_by_itself(
    tmp_path: Path,
    empty_kafka: KafkaSettings,
    database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    facestream: Facestream,
) -> None:
    settings = archive_settings(tmp_path, empty_kafka, database, monkeypatch)
    vectors = people(300, a_person=6, seed=5)
    publish(settings.kafka, one_face_scans(vectors[:240]))
    wide = {"eps": 0.62, "eps_max": 0.7}
    with running(settings, index.run, run_first_clusterer, catalogue.run):
        wait_until(lambda: len(places_of(settings, "blue")) == 240, "it does not begin")
        refused = facestream("replay", "--into", "green", "--eps-max", wide["eps_max"], "--yes")
        assert refused.err.strip() == (
            "facestream: another distance, reference or eps_max: neighbours have to be found again, --topic faces"
        )
        options = ("--topic", "faces", "--eps", wide["eps"], "--eps-max", wide["eps_max"], "--yes")
        ended = facestream("replay", "--into", "green", *options)
        assert ended.code == 0, ended.err
        assert "reads   faces from offset 0" in ended.err
        assert places_of(settings, "green") == dbscan_clusters(vectors[:240], wide["eps"])
        indexed = end_of(settings.kafka, NEIGHBOURS)
        followers = (
            partial(run_index, generation="green", max_rate=None),
            partial(run_clusterer, generation="green", max_rate=None),
            partial(run_catalogue, generation="green"),
        )
        with running(settings, *followers):
            publish(settings.kafka, one_face_scans(vectors[240:], first=240))
            wait_until(lambda: len(places_of(settings, "green")) == 300, "it does not go on")
            wait_for_tables(settings)
            assert end_of(settings.kafka, NEIGHBOURS) != indexed
        assert assignments(settings, "green") == places_of(settings, "green") == dbscan_clusters(vectors, wide["eps"])
        assert assignments(settings) == places_of(settings, "blue") == dbscan_clusters(vectors, 0.42)
        assert assignments(settings) != assignments(settings, "green")
        compared = facestream("compare", "blue", "green", "--json").out.splitlines()[-1]
        assert json.loads(compared)["pairs_joined"] > 0
        end_session(settings.kafka, "index-green")
        _lose_records(settings, "green", 3)
        audit = ("audit", "--all", "--generation", "green", "--json")
        assert json.loads(facestream(*audit).out)["without_record"] == 3
        repaired = facestream_output("index", "--repair", "--generation", "green", "--member", "audit")
        assert repaired.splitlines()[0] == "scans without neighbours, published: 3"
        assert json.loads(facestream(*audit).out)["without_record"] == 0
        for group in ("index-green", "cluster-green", "catalogue-green"):
            end_session(settings.kafka, group)
        assert facestream("retire", "green", "--yes").code == 0
    admin = clients.admin(settings.kafka)
    assert not [name for name in admin.list_topics() if name.endswith("-green")]
    admin.close()
    assert not [*(tmp_path / "snapshots").glob("*-green")]


def _lose_records(settings: Settings, generation: str, count: int) -> None:
    """Delete what the index of a generation has published last."""
    topic = of_generation(NEIGHBOURS, generation)
    keys = [*latest_events(settings.kafka, topic, NeighboursFound, lambda record: record)]
    assert len(keys) > count
    for key in keys[-count:]:
        publish_record(settings.kafka, topic, Record(key.encode(), None, ()))

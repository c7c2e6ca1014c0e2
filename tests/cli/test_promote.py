"""`facestream promote`, `rollback` and `retire`: what subscribers and the views see, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from psycopg import Connection

from catalogue import reader
from catalogue.connection import connect
from cli import promote as promotion
from cli.generation_consumers import run_catalogue, run_clusterer
from producers.generations import definition
from schemas.generations import GenerationPromoted, State
from schemas.topics import GENERATIONS
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.generations import read_generations
from stream.groups import known_groups
from stream.reading import read_to_end
from stream.stages import CATALOGUE, STAGES
from tests.builders.clock import NOON, wait_until
from tests.builders.commands import Facestream
from tests.builders.generations import (
    archive_settings,
    first_generation,
    places,
    places_of,
    string_of_faces,
    wait_for_tables,
)
from tests.builders.kafka import end_session, publish, running, wait_until_done
from tests.builders.neighbours import record
from tests.builders.pipeline import assignments

pytestmark = pytest.mark.process

BLUE = dict.fromkeys("abc", "a") | dict.fromkeys("de", "d")
WIDE = dict.fromkeys("abcde", "a")


@pytest.fixture
def settings(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return archive_settings(tmp_path, empty_kafka, database, monkeypatch)


@pytest.fixture
def archive(settings: Settings, facestream: Facestream) -> Iterator[Settings]:
    """Five faces on a string; a generation of the name wide has them all in one cluster."""
    with first_generation(settings, *string_of_faces()):
        assert facestream("replay", "--into", "wide", "--eps", 0.46, "--yes").code == 0
        yield settings


@contextmanager
def following(settings: Settings, generation: str) -> Iterator[None]:
    """The consumers of a generation run, as a supervisor runs them."""
    with running(
        settings,
        partial(run_clusterer, generation=generation, max_rate=None),
        partial(run_catalogue, generation=generation),
    ):
        yield


@pytest.fixture
def tables(archive: Settings) -> Iterator[Connection]:
    with connect(archive.database) as connection:
        yield connection


def test_one_record_makes_a_generation_live_for_topics_and_views_and_back(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    assert places(tables) == places(tables, "face_catalogue") == BLUE
    assert reader.counts(tables).clusters == 2
    ended = facestream("promote", "wide")
    assert ended.code == 0, ended.err
    assert ended.out.strip() == ("live: wide; facestream rollback makes blue live again, as long as it is not retired")
    assert places(tables) == places(tables, "face_catalogue") == WIDE
    assert reader.counts(tables).clusters == 1
    assert tables.execute("SELECT cluster_id, size FROM cluster_totals").fetchall() == [("a", 5)]
    (promoted,) = [
        it.message for it in read_to_end(archive.kafka, GENERATIONS) if isinstance(it.message, GenerationPromoted)
    ]
    assert (promoted.generation, promoted.former, promoted.assignments, promoted.clusters) == (
        "wide",
        "blue",
        "assignments-wide",
        "clusters-wide",
    )
    assert facestream("promote", "wide").out.strip() == "wide is live already"
    back = facestream("rollback")
    assert (back.code, back.out.strip()) == (0, "live: blue; before it was wide")
    assert places(tables) == BLUE
    # Nobody follows it, so that the catalogue has not read where ids of blue lead to in it.
    with following(archive, "wide"):
        forth = facestream("rollback")
    assert (forth.code, forth.out.strip().splitlines()[-1]) == (0, "live: wide; before it was blue")
    assert places(tables) == WIDE


def test_both_generations_go_on_whichever_is_live(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    with following(archive, "wide"):
        assert facestream("promote", "wide").code == 0
        publish(archive.kafka, [record("f.jpg", 9, {"f": [("e", 4, 0.43)]}, shards=1, eps_max=0.5)])
        wait_for_tables(archive)
    assert places_of(archive, "blue") == assignments(archive) == BLUE | {"f": "f"}
    assert places(tables) == assignments(archive, "wide") == WIDE | {"f": "a"}


def test_heirs_lead_from_every_cluster_and_every_id_that_it_had(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    with following(archive, "wide"):
        # In blue the cluster of f ends in that of d; in wide f never had one.
        publish(archive.kafka, [record("f.jpg", 7, {"f": []}, shards=1, eps_max=0.5)])
        wait_for_tables(archive)
        publish(archive.kafka, [record("g.jpg", 8, {"g": [("f", 7, 0.1), ("e", 4, 0.1)]}, shards=1, eps_max=0.5)])
        wait_for_tables(archive)
        assert reader.current_cluster(tables, "f") == "d"
        assert facestream("promote", "wide").code == 0
        wait_for_tables(archive)
        for cluster_id in "adf":
            assert reader.current_cluster(tables, cluster_id) == "a"
        assert facestream("rollback").code == 0
        wait_for_tables(archive)
        assert [reader.current_cluster(tables, cluster_id) for cluster_id in "adf"] == ["a", "d", "d"]


def test_what_is_not_built_or_has_not_caught_up_is_not_promoted(
    archive: Settings, tables: Connection, facestream: Facestream, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = read_generations(archive.kafka).defined["blue"].parameters
    publish(archive.kafka, [definition("half", parameters, State.BUILDING, NOON)])
    assert facestream("promote", "half").err.strip() == (
        "facestream: the generation half is not built yet: facestream replay --into half goes on with it"
    )
    assert facestream("promote", "none").err.strip() == (
        "facestream: there is no generation none: there are blue, half, wide"
    )
    assert facestream("rollback").err.strip() == (
        "facestream: blue has been live from the beginning: there is nothing to go back to"
    )
    monkeypatch.setattr(promotion, "_WAIT_S", 1)
    many = [record(f"{number}.jpg", 10 + number, {f"n{number}": []}, shards=1, eps_max=0.5) for number in range(1_100)]
    publish(archive.kafka, many)
    wait_until(lambda: len(places_of(archive, "blue")) == 1_105, "the live one does not go on")
    refused = facestream("promote", "wide")
    assert refused.code == 1
    assert "the generation wide has not caught up (cluster-wide by 1,1" in refused.err
    assert read_generations(archive.kafka).live == "blue"
    assert len(places(tables)) == 1_105


def test_a_generation_that_is_retired_leaves_nothing_and_the_live_one_is_not(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    assert facestream("retire", "blue", "--yes").err.strip() == (
        "facestream: the generation blue is live, and subscribers follow it: promote another one first"
    )
    for group in ("cluster-wide", "catalogue-wide"):
        end_session(archive.kafka, group)
    ended = facestream("retire", "wide", "--yes")
    assert (ended.code, ended.out.strip()) == (0, "retired: wide"), ended.err
    assert places_of(archive, "wide") == {}
    assert tables.execute("SELECT count(*) FROM all_cluster_totals WHERE generation <> 'blue'").fetchall() == [(0,)]
    assert {"cluster-wide", "catalogue-wide"}.isdisjoint(known_groups(archive.kafka))
    admin = clients.admin(archive.kafka)
    assert {"assignments-wide", "clusters-wide"}.isdisjoint(admin.list_topics())
    admin.close()
    assert not (archive.data / "snapshots" / "cluster-wide").exists()
    assert [row["generation"] for row in facestream("generations", "--json").json_lines()] == ["blue"]
    assert places(tables) == BLUE
    # The name is free again.
    assert facestream("replay", "--into", "wide", "--eps", 0.44, "--yes").code == 0
    assert places_of(archive, "wide") == BLUE


def test_the_first_generation_is_retired_too_once_another_is_live(settings: Settings, facestream: Facestream) -> None:
    with first_generation(settings, *string_of_faces()):
        assert facestream("replay", "--into", "wide", "--eps", 0.46, "--yes").code == 0
        assert facestream("promote", "wide").code == 0
    end_session(settings.kafka, "cluster")
    ended = facestream("retire", "blue", "--yes")
    assert (ended.code, ended.out.strip()) == (0, "retired: blue"), ended.err
    assert assignments(settings) == {}
    with running(settings, partial(run_catalogue, generation=None)), connect(settings.database) as tables:
        wait_until_done(settings.kafka, {CATALOGUE: STAGES[CATALOGUE]})
        assert places(tables) == WIDE
        assert places_of(settings, "blue") == {}
    refused = facestream("cluster", "--member", "0")
    assert refused.err.strip().splitlines()[-1] == (
        "facestream: the generation blue was retired: wide is live, start facestream cluster --generation wide"
    )
    assert facestream("rollback").err.strip() == "facestream: the generation blue was retired"

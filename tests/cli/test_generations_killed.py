"""`replay`, `promote`, `rollback` and `retire` are killed at every step: nothing is lost, and nobody sees a mixture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from psycopg import Connection

from catalogue import generations, reader
from catalogue.connection import connect
from cli.generation_consumers import run_catalogue, run_clusterer
from schemas.generations import State
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.generations import read_generations
from tests.builders.commands import Facestream
from tests.builders.generations import (
    archive_settings,
    first_generation,
    places,
    places_of,
    string_of_faces,
    wait_for_tables,
)
from tests.builders.kafka import end_session, running
from tests.builders.killed import kill_at
from tests.builders.pipeline import assignments

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

BLUE = dict.fromkeys("abc", "a") | dict.fromkeys("de", "d")
WIDE = dict.fromkeys("abcde", "a")
AS_LIVE = {"blue": BLUE, "wide": WIDE}

REPLAY = ("replay", "--into", "wide", "--eps", 0.46, "--yes")


@pytest.fixture
def archive(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Five faces on a string, in two clusters, or with eps 0.46 in one."""
    with first_generation(
        archive_settings(tmp_path, empty_kafka, database, monkeypatch), *string_of_faces()
    ) as settings:
        yield settings


@pytest.fixture
def tables(archive: Settings) -> Iterator[Connection]:
    with connect(archive.database) as connection:
        yield connection


@contextmanager
def following(settings: Settings) -> Iterator[None]:
    with running(
        settings,
        partial(run_clusterer, generation="wide", max_rate=None),
        partial(run_catalogue, generation="wide"),
    ):
        yield


def assert_no_mixture(settings: Settings, tables: Connection) -> None:
    """The views show one generation as a whole, which is that of the record, or was until a moment ago."""
    wait_for_tables(settings)
    live = read_generations(settings.kafka).live
    assert generations.live(tables) == live
    assert places(tables) == places(tables, "face_catalogue") == AS_LIVE[live]
    assert assignments(settings, live) == AS_LIVE[live]


def test_a_replay_that_is_killed_at_any_step_goes_on_where_it_was(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    kill_at("producers.generations:_await", REPLAY, "before")
    assert read_generations(archive.kafka).state("wide") is State.BUILDING
    kill_at("cli.building:_start", REPLAY, "before")
    kill_at("cli.building:_start", REPLAY, "after", calls=2)
    for calls in (1, 3):
        kill_at("cli.building:_Shown.update", REPLAY, "after", calls)
        assert facestream("promote", "wide").err.strip() == (
            "facestream: the generation wide is not built yet: facestream replay --into wide goes on with it"
        )
        assert places(tables) == BLUE
    # Before it is known that the generation is built; the transaction of that record is open.
    kill_at("producers.generations:_await", REPLAY, "before", calls=1)
    if read_generations(archive.kafka).state("wide") is State.BUILDING:
        assert facestream(*REPLAY).code == 0
    assert assignments(archive, "wide") == places_of(archive, "wide") == WIDE
    assert_no_mixture(archive, tables)


def test_a_promotion_and_a_rollback_that_are_killed_at_any_step_are_done_or_not(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    assert facestream(*REPLAY).code == 0
    steps = (
        ("cli.promote:_publish_heirs", "before", 1),
        ("cli.promote:change_generations", "before", 1),
        ("producers.generations:encode", "after", 1),
        ("producers.generations:_await", "before", 1),
        ("cli.promote:_wait_for_views", "before", 1),
        ("cli.promote:_publish_heirs", "before", 2),
    )
    with following(archive):
        for when in ("before", "after"):
            kill_at("cli.promote:publish_redirects", ("promote", "wide"), when)
            assert read_generations(archive.kafka).live == "blue"
            assert_no_mixture(archive, tables)
        for step, when, calls in steps:
            kill_at(step, ("promote", "wide"), when, calls)
            assert_no_mixture(archive, tables)
            assert facestream("promote", "wide").code == 0
            wait_for_tables(archive)
            assert read_generations(archive.kafka).live == "wide"
            assert [reader.current_cluster(tables, cluster_id) for cluster_id in "ad"] == ["a", "a"]

            if step.startswith("producers.generations"):
                kill_at(step, ("rollback",), when, calls)
                assert_no_mixture(archive, tables)
            if read_generations(archive.kafka).live == "wide":
                assert facestream("rollback").code == 0
            assert_no_mixture(archive, tables)
            assert read_generations(archive.kafka).live == "blue"
            assert [reader.current_cluster(tables, cluster_id) for cluster_id in "ad"] == ["a", "d"]


def test_a_generation_whose_retirement_is_killed_at_any_step_is_retired_by_the_next(
    archive: Settings, tables: Connection, facestream: Facestream
) -> None:
    assert facestream(*REPLAY).code == 0
    for group in ("cluster-wide", "catalogue-wide"):
        end_session(archive.kafka, group)
    retire = ("retire", "wide", "--yes")
    for step, when, calls in (
        ("cli.retire:_in_state", "before", 1),
        ("cli.retire:_in_state", "after", 1),
        ("cli.retire:_delete", "before", 1),
        ("cli.retire:delete_group", "before", 1),
        ("cli.retire:delete_group", "after", 1),
        ("cli.retire:delete_topics", "before", 1),
        ("cli.retire:delete_topics", "after", 1),
        ("producers.generations:encode", "after", 2),
    ):
        kill_at(step, retire, when, calls)
        assert_no_mixture(archive, tables)
    assert facestream("promote", "wide").err.strip() == "facestream: the generation wide was retired"
    assert facestream(*REPLAY).err.strip() == (
        "facestream: the generation wide is being retired: end that first, facestream retire wide"
    )
    assert facestream(*retire).out.strip() == "retired: wide"
    assert read_generations(archive.kafka).names == ["blue"]
    assert places_of(archive, "wide") == {}
    admin = clients.admin(archive.kafka)
    assert {"assignments-wide", "clusters-wide"}.isdisjoint(admin.list_topics())
    admin.close()
    assert_no_mixture(archive, tables)

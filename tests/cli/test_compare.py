"""`facestream compare`: what differs between two generations, as a person and as a program reads it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cli.generation_consumers import run_catalogue, run_clusterer
from producers.generations import definition
from schemas.generations import State
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.generations import read_generations
from tests.builders.clock import NOON
from tests.builders.commands import Facestream
from tests.builders.decisions import linked, named, separated
from tests.builders.generations import archive_settings, first_generation, string_of_faces, wait_for_tables
from tests.builders.kafka import publish, running

pytestmark = pytest.mark.process

BOTH = (partial(run_clusterer, max_rate=None), run_catalogue)


@pytest.fixture
def archive(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Five faces on a string: a, b, c and d, e are clusters. One is named."""
    with first_generation(
        archive_settings(tmp_path, empty_kafka, database, monkeypatch), *string_of_faces(), named(1, "a", "anna")
    ) as settings:
        yield settings


@pytest.mark.usefixtures("archive")
def test_the_same_settings_give_no_difference(facestream: Facestream) -> None:
    assert facestream("replay", "--into", "green", "--yes").code == 0
    (report,) = facestream("compare", "blue", "green", "--json").json_lines()
    assert report.pop("faces") == 5
    assert report.pop("ari") == 1
    assert not any(report.values())


@pytest.mark.usefixtures("archive")
def test_what_another_eps_joins_is_counted_with_examples(facestream: Facestream) -> None:
    assert facestream("replay", "--into", "wide", "--eps", 0.46, "--yes").code == 0
    (report,) = facestream("compare", "blue", "wide", "--json").json_lines()
    examples = report.pop("examples")
    assert report == {
        "faces": 5,
        "only_in_one": 0,
        "only_in_other": 0,
        "ari": 0,
        "pairs_joined": 6,
        "pairs_parted": 0,
        "faces_moved": 2,
        "clusters_merged": 1,
        "clusters_split": 0,
        "people_affected": ["Anna"],
        "decisions_that_bind_in_one": [],
        "decisions_that_bind_in_other": [],
    }
    box = {"left": 0.25, "top": 0.25, "right": 0.5, "bottom": 0.75}
    assert examples == [
        {
            "what": "joined",
            "one": {"face_id": "a", "scan_id": "a.jpg", "box": box},
            "other": {"face_id": "d", "scan_id": "d.jpg", "box": box},
        }
    ]
    (back,) = facestream("compare", "wide", "blue", "--json").json_lines()
    assert (back["pairs_joined"], back["pairs_parted"], back["clusters_split"]) == (0, 6, 1)
    assert [example["what"] for example in back["examples"]] == ["parted"]
    printed = facestream("compare", "blue", "wide")
    assert ["pairs of faces joined", "6"] in printed.table_rows()
    assert "people affected: Anna" in printed.out


def test_a_link_that_dbscan_would_not_need_at_another_eps_binds_in_one_generation_alone(
    archive: Settings, facestream: Facestream, capsys: pytest.CaptureFixture[str]
) -> None:
    assert facestream("replay", "--into", "wide", "--eps", 0.46, "--yes").code == 0
    assert facestream("replay", "--into", "narrow", "--eps", 0.32, "--yes").code == 0
    publish(archive.kafka, [linked(2, "a", "d"), separated(3, "b", "c")])
    with running(archive, *(partial(run, generation=name) for name in ("wide", "narrow") for run in BOTH)):
        wait_for_tables(archive)
    capsys.readouterr()
    (report,) = facestream("compare", "blue", "wide", "--json").json_lines()
    assert report["decisions_that_bind_in_one"] == [{"kind": "linked", "face_id": "a", "other_face_id": "d"}]
    assert report["decisions_that_bind_in_other"] == []
    (report,) = facestream("compare", "narrow", "blue", "--json").json_lines()
    assert report["decisions_that_bind_in_one"] == []
    assert report["decisions_that_bind_in_other"] == [{"kind": "separated", "face_id": "b", "other_face_id": "c"}]
    assert "binds in blue alone: b and c are separated" in facestream("compare", "narrow", "blue").out


def test_what_is_not_there_is_not_compared(archive: Settings, facestream: Facestream) -> None:
    assert facestream("compare", "blue", "green").err.strip() == (
        "facestream: there is no generation green: there are blue"
    )
    parameters = read_generations(archive.kafka).defined["blue"].parameters
    publish(archive.kafka, [definition("green", parameters, State.BUILDING, NOON)])
    assert facestream("compare", "green", "blue").err.strip() == (
        "facestream: the generation green is not built yet: facestream replay --into green goes on with it"
    )

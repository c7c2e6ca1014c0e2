"""`facestream replay` and `generations`: another clustering beside the live one, on a real broker and database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.generations import definition
from schemas.generations import GenerationParameters, GenerationPromoted, State
from schemas.topics import ASSIGNMENTS, NEIGHBOURS, of_generation
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.generations import read_generations
from stream.reading import read_to_end
from tests.builders.clock import NOON
from tests.builders.commands import Facestream
from tests.builders.generations import archive_settings, first_generation, places_of, string_of_faces
from tests.builders.kafka import publish
from tests.builders.pipeline import assignments

pytestmark = pytest.mark.process


@pytest.fixture
def archive(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Five faces on a string, in two clusters."""
    with first_generation(
        archive_settings(tmp_path, empty_kafka, database, monkeypatch), *string_of_faces()
    ) as settings:
        yield settings


def test_a_replay_clusters_again_beside_the_live_generation(archive: Settings, facestream: Facestream) -> None:
    ended = facestream("replay", "--into", "green", "--eps", 0.46, "--yes")
    assert ended.code == 0, ended.err
    assert "reads   neighbours from offset 0" in ended.err
    assert "writes  assignments-green" in ended.err
    assert ended.out.strip() == "built: green; what differs: facestream compare blue green"
    assert assignments(archive, "green") == places_of(archive, "green") == dict.fromkeys("abcde", "a")
    assert assignments(archive) == places_of(archive, "blue") == dict.fromkeys("abc", "a") | dict.fromkeys("de", "d")
    rows = {row["generation"]: row for row in facestream("generations", "--json").json_lines()}
    assert {name: (row["live"], row["state"], row["behind"]) for name, row in rows.items()} == {
        "blue": (True, "built", 0),
        "green": (False, "built", 0),
    }
    assert [rows[name]["parameters"]["eps"] for name in ("blue", "green")] == [0.42, 0.46]
    # Again there is nothing to do.
    written = len([*read_to_end(archive.kafka, of_generation(ASSIGNMENTS, "green"))])
    again = facestream("replay", "--into", "green", "--eps", 0.46, "--yes")
    assert again.out.strip() == "the generation green is built: facestream compare blue green"
    assert len([*read_to_end(archive.kafka, of_generation(ASSIGNMENTS, "green"))]) == written


def test_only_what_the_index_published_from_an_offset_on_is_replayed(archive: Settings, facestream: Facestream) -> None:
    offsets = [it.offset for it in read_to_end(archive.kafka, NEIGHBOURS)]
    ended = facestream("replay", "--into", "late", "--from-offset", offsets[2], "--yes")
    assert ended.code == 0, ended.err
    assert assignments(archive, "late") == places_of(archive, "late") == {"c": "c", "d": "d", "e": "d"}
    for offset in (max(offsets) + 10, -1):
        refused = facestream("replay", "--into", "later", "--from-offset", offset, "--yes")
        assert refused.code != 0
        assert "offset" in refused.err
    refused = facestream("replay", "--into", "later", "--from", "2999-01-01", "--yes")
    assert refused.err.strip() == "facestream: --from 2999-01-01 00:00: neighbours has nothing since then"
    assert [row["generation"] for row in facestream("generations", "--json").json_lines()] == ["blue", "late"]


@pytest.mark.parametrize(
    ("into", "line"),
    [
        ("blue", "the generation blue is live, and subscribers follow it: replay into another one"),
        ("live", "--into live: a generation is named with small letters and digits, and not 'live'"),
        ("Green", "--into Green: a generation is named with small letters and digits, and not 'live'"),
    ],
)
def test_a_replay_into_what_is_live_or_no_name_is_refused(
    into: str, line: str, archive: Settings, facestream: Facestream
) -> None:
    ended = facestream("replay", "--into", into, "--eps", 0.4, "--yes")
    assert (ended.code, ended.err.strip()) == (1, f"facestream: {line}")
    assert assignments(archive) == dict.fromkeys("abc", "a") | dict.fromkeys("de", "d")


def test_what_is_there_with_other_parameters_is_not_overwritten(archive: Settings, facestream: Facestream) -> None:
    assert facestream("replay", "--into", "green", "--eps", 0.46, "--yes").code == 0
    refused = facestream("replay", "--into", "green", "--eps", 0.45, "--yes")
    assert refused.err.strip() == (
        "facestream: there is a generation green with other parameters (eps 0.46): replay into another one, or retire "
        "it first, facestream retire green"
    )
    assert facestream("replay", "--into", "red", "--eps", 0.6, "--yes").err.strip() == (
        "facestream: --eps: eps 0.6 is larger than eps_max 0.5: edges beyond eps_max are not kept"
    )
    assert places_of(archive, "green") == dict.fromkeys("abcde", "a")


def test_the_plan_has_the_parameters_of_the_live_generation_as_far_as_they_mean_the_same(
    archive: Settings, facestream: Facestream
) -> None:
    plan = facestream("replay", "--into", "green", "--min-samples", 3).err
    assert "generation green: distance euclidean, eps 0.42, eps_max 0.5, min_samples 3" in plan
    # Thresholds of another distance are its own.
    plan = facestream("replay", "--into", "green", "--topic", "faces", "--distance", "calibrated").err
    assert "generation green: distance calibrated, reference builtin, eps 0.418, eps_max 0.46" in plan
    assert "shared_weight 0.14" in plan
    refused = facestream("replay", "--into", "green", "--topic", "faces", "--distance", "calibrated", "--eps", 0.7)
    assert refused.err.strip() == ("facestream: eps 0.7 is larger than eps_max 0.46: edges beyond eps_max are not kept")
    # An index of its own publishes other distances than those of neighbours.
    own = GenerationParameters(
        distance="euclidean", eps=0.6, eps_max=0.7, min_samples=2, shared_weight=0, most_neighbours=64
    )
    defined = definition("own", own, State.BUILT, NOON, neighbours=of_generation(NEIGHBOURS, "own"))
    promoted = GenerationPromoted(
        generation="own", former="blue", assignments="a", clusters="c", promoted_at=NOON, author="Ann"
    )
    publish(archive.kafka, [defined, promoted])
    assert "generation red: distance euclidean, eps 0.42, eps_max 0.5" in facestream("replay", "--into", "red").err
    plan = facestream("replay", "--into", "red", "--topic", "faces").err
    assert "generation red: distance euclidean, eps 0.6, eps_max 0.7" in plan
    assert read_generations(archive.kafka).names == ["blue", "own"]

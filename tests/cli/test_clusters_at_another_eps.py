"""`facestream clusters --eps` and `facestream sweep`: other eps from the edges that are there, as a person asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from schemas.topics import NEIGHBOURS
from settings import KafkaSettings
from stream.reading import read_to_end
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream
from tests.builders.kafka import name_broker, publish
from tests.builders.neighbours import Edge, record

FACES: Mapping[str, Sequence[Edge]] = {
    "a": (),
    "b": [("a", 0, 0.30)],
    "c": [("b", 1, 0.36)],
    "d": [("c", 2, 0.45)],
}


@pytest.fixture
def broker(kafka: KafkaSettings, write: WriteMessages, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Four faces on a string, clustered as they are at 0.37."""
    name_broker(kafka, monkeypatch)
    for number, (name, edges) in enumerate(FACES.items()):
        publish(kafka, [record(f"{name}.jpg", number, {name: edges}, shards=1, eps_max=0.5)])
        write("scans", published(f"{name}.jpg", f"file:///{name}.jpg"))
        write("faces", analysed(f"{name}.jpg", face(name)))
        write("assignments", assigned(name, f"{name}.jpg", "d" if name == "d" else "a"))
    return kafka


def assert_clusters(lines: str, clusters: dict[str, list[str]]) -> None:
    """These clusters were printed, each with its faces and their number."""
    found = [json.loads(line) for line in lines.splitlines()]
    assert {row["cluster_id"]: [member["face_id"] for member in row["faces"]] for row in found} == clusters
    assert {row["cluster_id"]: row["size"] for row in found} == {name: len(faces) for name, faces in clusters.items()}
    assert len(found) == len(clusters)


@pytest.mark.usefixtures("broker")
def test_another_eps_prints_the_same_as_the_live_one_for_other_clusters(facestream: Facestream) -> None:
    live = facestream("clusters", "--json")
    assert_clusters(live.out, {"a": ["a", "b", "c"], "d": ["d"]})
    assert facestream("clusters", "--eps", 0.37, "--json").out == live.out
    assert_clusters(facestream("clusters", "--eps", 0.34, "--json").out, {"a": ["a", "b"], "c": ["c"], "d": ["d"]})
    assert_clusters(facestream("clusters", "--eps", 0.5, "--json", "--limit", 1).out, {"a": ["a", "b", "c", "d"]})
    assert facestream("clusters", "--json").out == live.out


def test_it_is_a_table_too_and_leaves_no_trace(facestream: Facestream, broker: KafkaSettings) -> None:
    before = [row.offset for row in read_to_end(broker, NEIGHBOURS)]
    ended = facestream("clusters", "--eps", 0.34, "--limit", 1)
    assert ended.code == 0, ended.err
    assert "Faces: 4, clusters: 3" in ended.out
    (row,) = [line for line in ended.out.splitlines() if "a.jpg" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["a", "2", "2", "", "a.jpg"]
    assert "more clusters, which a larger --limit shows: 2" in ended.out
    assert [row.offset for row in read_to_end(broker, NEIGHBOURS)] == before


@pytest.mark.usefixtures("broker")
def test_an_eps_beyond_eps_max_is_one_clear_line(facestream: Facestream) -> None:
    ended = facestream("clusters", "--eps", 0.6)
    assert ended.code == 1
    assert ended.err.strip() == (
        "facestream: --eps: eps 0.6 is larger than eps_max 0.5: edges beyond eps_max are not kept"
    )


@pytest.mark.usefixtures("broker")
def test_a_sweep_prints_a_row_an_eps_and_a_plot(facestream: Facestream) -> None:
    rows = [json.loads(line) for line in facestream("sweep", "--step", 0.1, "--json").out.splitlines()]
    assert [(row["eps"], row["clusters"], row["singletons"], row["largest"]) for row in rows] == [
        (0.3, 3, 2, 2),
        (0.4, 2, 1, 3),
        (0.5, 1, 0, 4),
    ]
    table = facestream("sweep", "--step", 0.1)
    assert table.code == 0
    assert "singletons" in table.out
    assert "⠤" in table.out or "⠒" in table.out or "⣀" in table.out, "no plot"

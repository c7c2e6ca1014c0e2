"""`facestream clusters` on a real catalogue."""

from __future__ import annotations

import json

import pytest

from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream
from tests.builders.decisions import named


@pytest.fixture
def two_clusters(write: WriteMessages) -> None:
    write("scans", published("album/1.jpg", "file:///album/1.jpg"), published("album/2.jpg", "file:///album/2.jpg"))
    write("faces", analysed("album/1.jpg", face("f1"), face("f2"), face("f3")), analysed("album/2.jpg", face("f4")))
    write("assignments", assigned("f1", "album/1.jpg", "f1", name="anna"), assigned("f2", "album/1.jpg", "f2"))
    write("assignments", assigned("f4", "album/2.jpg", "f1"), assigned("f3", "album/1.jpg", None))


@pytest.mark.usefixtures("two_clusters")
def test_json_is_a_line_for_each_cluster_the_largest_first(facestream: Facestream) -> None:
    box = {"left": 0.25, "top": 0.25, "right": 0.5, "bottom": 0.75}
    on = [{"scan_id": f"album/{number}.jpg", "uri": f"file:///album/{number}.jpg", "box": box} for number in (1, 2)]
    ended = facestream("clusters", "--json")
    assert ended.code == 0
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"cluster_id": "f1", "size": 2, "faces": [{"face_id": "f1"} | on[0], {"face_id": "f4"} | on[1]]},
        {"cluster_id": "f2", "size": 1, "faces": [{"face_id": "f2"} | on[0]]},
    ]
    assert len(facestream("clusters", "--json", "--limit", 1).out.splitlines()) == 1


@pytest.mark.usefixtures("two_clusters")
def test_people_are_called_by_the_name_that_was_last_given(facestream: Facestream, write: WriteMessages) -> None:
    write("labels", named(1, "f1", "anna", name="Anna Tamm"))
    assert "Anna Tamm" in facestream("clusters").out


@pytest.mark.usefixtures("two_clusters")
def test_the_table_names_clusters_scans_and_people_and_what_it_leaves_out(facestream: Facestream) -> None:
    ended = facestream("clusters", "--limit", 1)
    assert ended.code == 0
    assert "Faces: 4, clusters: 2" in ended.out
    (row,) = [line for line in ended.out.splitlines() if "f1" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["f1", "2", "2", "anna", "album/1.jpg"]
    assert "faces in no cluster (noise): 1" in ended.out
    assert "more clusters, which a larger --limit shows: 1" in ended.out


def test_an_empty_catalogue_has_an_empty_table_and_no_json(facestream: Facestream) -> None:
    assert "Faces: 0, clusters: 0" in facestream("clusters").out
    assert facestream("clusters", "--json").out == ""


def test_a_database_that_is_away_is_one_line(facestream: Facestream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_DATABASE__URL", "postgresql://postgres@127.0.0.1:1/x")
    ended = facestream("clusters")
    assert ended.code == 1
    assert len(ended.err.strip().splitlines()) == 1
    assert "PostgreSQL at 127.0.0.1:1 does not answer" in ended.err

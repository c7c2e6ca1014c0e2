"""Scans analysed again with other settings, through the whole system: faces keep their ids, and so their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogue.connection import connect
from settings import DatabaseSettings
from tests.builders.commands import facestream_json

pytestmark = [pytest.mark.weights, pytest.mark.process, pytest.mark.usefixtures("named_services")]


def found(database: DatabaseSettings) -> tuple[dict[str, str], set[int]]:
    """The embedding of each face, and the numbers of doublings that the analyses were made with."""
    with connect(database) as open_:
        faces: dict[str, str] = dict(open_.execute("SELECT face_id, embedding::text FROM faces").fetchall())
        doublings = {row[0] for row in open_.execute("SELECT (provenance->>'upsample')::int FROM analyses")}
    return faces, doublings


def test_a_face_found_again_keeps_its_id_and_what_was_decided_about_it(
    sample: Path, tmp_path: Path, database: DatabaseSettings
) -> None:
    data, scans = tmp_path / "data", sample / "album"
    facestream_json("run", scans, "--data", data, "--upsample", "0")
    before, doublings = found(database)
    assert doublings == {0}
    face_id = min(before)
    (decision,) = facestream_json("label", face_id, "Grace Hopper", "--data", data)

    assert facestream_json("reanalyse", "--collection", "album", "--data", data) == [
        {"published_again": 7, "left_out": 0}
    ]
    (summary,) = facestream_json("run", scans, "--data", data, "--upsample", "1")
    assert (summary["published"], summary["already_there"], summary["waiting"]) == (0, 7, 0)
    after, doublings = found(database)
    assert doublings == {1}
    assert before.keys() <= after.keys()
    # Most boxes have moved a little, and the embeddings with them.
    assert sum(before[face_id] != after[face_id] for face_id in before) > len(before) / 2

    (line,) = facestream_json("history", face_id, "--data", data)
    assert (line["decision_id"], line["holds"]) == (decision["decision_id"], True)
    assert facestream_json("orphans", "--data", data) == []
    (person,) = facestream_json("people", "--data", data)
    assert person["name"] == "Grace Hopper"

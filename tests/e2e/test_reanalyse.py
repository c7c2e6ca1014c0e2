"""Scans analysed again with other settings, through the whole system: faces keep their ids, and so their names."""

from __future__ import annotations

from pathlib import Path

from catalogue.connection import connect
from local.services import services
from settings import Settings
from tests.builders.commands import facestream_json


def found(data: Path) -> tuple[dict[str, str], set[int]]:
    """The embedding of each face, and the numbers of doublings that the analyses were made with."""
    with services(Settings(data=data), kafka=False, command="pytest") as running, connect(running.database) as open_:
        faces: dict[str, str] = dict(open_.execute("SELECT face_id, embedding::text FROM faces").fetchall())
        doublings = {row[0] for row in open_.execute("SELECT (provenance->>'upsample')::int FROM analyses")}
    return faces, doublings


def test_a_face_found_again_keeps_its_id_and_what_was_decided_about_it(johns: Path, tmp_path: Path) -> None:
    data, scans = tmp_path / "data", johns / "John_Simm"
    facestream_json("run", scans, "--data", data, "--upsample", "0")
    before, doublings = found(data)
    assert doublings == {0}
    face_id = min(before)
    (decision,) = facestream_json("label", face_id, "John Simm", "--data", data)

    assert facestream_json("reanalyse", "--collection", "John_Simm", "--data", data) == [{"published_again": 11}]
    (summary,) = facestream_json("run", scans, "--data", data, "--upsample", "1")
    assert (summary["published"], summary["already_there"], summary["waiting"]) == (0, 11, 0)
    after, doublings = found(data)
    assert doublings == {1}
    assert before.keys() <= after.keys()
    # Most boxes have moved a little, and the embeddings with them.
    assert sum(before[face_id] != after[face_id] for face_id in before) > len(before) / 2

    (line,) = facestream_json("history", face_id, "--data", data)
    assert (line["decision_id"], line["holds"]) == (decision["decision_id"], True)
    assert facestream_json("orphans", "--data", data) == []
    (person,) = facestream_json("people", "--data", data)
    assert person["name"] == "John Simm"

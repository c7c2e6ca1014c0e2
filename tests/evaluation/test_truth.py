"""Which face of a scan a row of the truth means."""

from __future__ import annotations

import pytest

from evaluation.truth import PlacedFace, TruthProblem, TruthRow, known_faces
from schemas.scans import Box


def face(face_id: str, left: float, top: float, size: float = 0.2) -> PlacedFace:
    return PlacedFace(face_id, Box(left=left, top=top, right=left + size, bottom=top + size))


TWO = {"a.jpg": [face("corner", 0.0, 0.0), face("middle", 0.4, 0.4)], "empty.jpg": []}


def row(person: str, line: int = 2, scan_id: str | None = "a.jpg", **fields: object) -> TruthRow:
    return TruthRow(line, person, scan_id or "unknown.jpg", scan_id, **fields)  # type: ignore[arg-type]


def test_without_more_the_face_nearest_to_the_middle_is_meant() -> None:
    known = known_faces([row("ann")], TWO, ())
    assert known.people == {"middle": "ann"}
    assert known.central == {"a.jpg"}


def test_a_point_names_the_face_that_it_lies_on() -> None:
    rows = [row("ann", point=(0.1, 0.1)), row("bob", 3, point=(0.45, 0.5))]
    known = known_faces(rows, TWO, ())
    assert known.people == {"corner": "ann", "middle": "bob"}
    assert known.central == set()


def test_a_point_beside_all_faces_names_none() -> None:
    known = known_faces([row("ann", point=(0.9, 0.1))], TWO, ())
    assert known.people == {}
    assert [it.person for it in known.faceless] == ["ann"]


def test_a_face_is_named_by_its_id() -> None:
    known = known_faces([row("ann", face_id="corner"), row("bob", 3, face_id="gone")], {}, ["corner"])
    assert known.people == {"corner": "ann"}
    assert [it.face_id for it in known.unknown] == ["gone"]


def test_scans_without_faces_and_unknown_scans_are_kept_apart() -> None:
    known = known_faces([row("ann", scan_id="empty.jpg"), row("bob", 3, None)], TWO, ())
    assert [it.person for it in known.faceless] == ["ann"]
    assert [it.person for it in known.unknown] == ["bob"]


def test_two_people_on_one_face_are_refused_with_what_helps() -> None:
    with pytest.raises(TruthProblem) as caught:
        known_faces([row("ann"), row("bob", 5)], TWO, ())
    assert str(caught.value) == (
        "lines 2 and 5 name one face of a.jpg ann and bob: where a scan has several people, give each the column "
        "face_id, or x and y (0 to 1)"
    )


def test_a_row_that_is_there_twice_counts_once() -> None:
    assert known_faces([row("ann"), row("ann", 3)], TWO, ()).people == {"middle": "ann"}

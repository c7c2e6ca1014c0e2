"""What pictures are cut from, and what anyone may see."""

from __future__ import annotations

from psycopg import Connection

from catalogue import pictures, public
from schemas.scans import Box
from tests.builders.catalogue import SHA256, analysed, assigned, face, published, suggested, write_messages
from tests.builders.decisions import named, undone

RELEASED = ["portraits", "postcards"]


def write_archive(connection: Connection) -> None:
    """Three scans, of which one is of no released collection, each with two faces: -1 is named, -2 is not."""
    for scan_id, collection in (("a", "portraits"), ("b", "postcards"), ("c", "letters")):
        write_messages(connection, "scans", published(scan_id, collection=collection))
        write_messages(connection, "faces", analysed(scan_id, face(f"{scan_id}-1"), face(f"{scan_id}-2")))
        write_messages(
            connection,
            "assignments",
            assigned(f"{scan_id}-1", scan_id, "k", 100, "õie"),
            suggested(f"{scan_id}-2", scan_id, "k", ("õie", 0.9)),
        )
    write_messages(
        connection, "labels", named(1, "a-1", "õie", note="as her niece wrote", authority="https://viaf.org/1")
    )


def test_a_face_leads_to_its_scan_with_all_its_faces_and_how_they_lie(connection: Connection) -> None:
    box = Box(left=0.1, top=0.2, right=0.3, bottom=0.4)
    lying = face("a-1", box=box).model_copy(update={"turn": 270, "negative": True})
    write_messages(connection, "scans", published("a", "file:///a.tif", page=2))
    write_messages(connection, "faces", analysed("a", lying, face("a-2")))
    scan = pictures.scan_of_face(connection, "a-1")
    assert scan == pictures.scan_file(connection, "a")
    assert scan and (scan.uri, scan.page, scan.analysed_sha256, scan.width, scan.height) == (
        *("file:///a.tif", 2, SHA256, 800, 600),
    )
    assert scan.faces[0] == pictures.FaceOnScan("a-1", box, 270, True)
    assert [(one.face_id, one.turn, one.negative) for one in scan.faces[1:]] == [("a-2", 0, False)]


def test_a_scan_before_its_analysis_has_no_faces_and_no_size(connection: Connection) -> None:
    write_messages(connection, "scans", published("a"))
    scan = pictures.scan_file(connection, "a")
    assert scan and (scan.analysed_sha256, scan.width, scan.height, scan.faces) == (None, None, None, ())


def test_a_face_of_a_withdrawn_scan_leads_nowhere(connection: Connection) -> None:
    write_messages(connection, "faces", analysed("a", face("a-1")))
    assert pictures.scan_of_face(connection, "a-1") is None
    assert pictures.scan_file(connection, "a") is None


def test_only_confirmed_names_of_released_collections_are_public(connection: Connection) -> None:
    write_archive(connection)
    assert public.people(connection, RELEASED, 10) == [public.PublicPerson("õie", "Õie", "https://viaf.org/1", faces=2)]
    assert [one.face_id for one in public.faces_of(connection, RELEASED, "õie", 10)] == ["a-1", "b-1"]
    assert [one.face_id for one in public.faces_of(connection, RELEASED, "õie", 10, 1)] == ["b-1"]
    assert [one.face_id for one in public.faces_on(connection, RELEASED, "a")] == ["a-1"]
    assert public.faces_on(connection, RELEASED, "c") == []
    faces = ("a-1", "a-2", "b-1", "c-1", "nobody")
    assert [public.is_face_public(connection, RELEASED, one) for one in faces] == [True, False, True, False, False]
    assert [public.is_scan_public(connection, RELEASED, one) for one in ("a", "b", "c", "d")] == [
        True,
        True,
        False,
        False,
    ]


def test_without_released_collections_nothing_is_public(connection: Connection) -> None:
    write_archive(connection)
    assert public.people(connection, [], 10) == []
    assert not public.is_face_public(connection, [], "a-1") and not public.is_scan_public(connection, [], "a")


def test_a_person_nobody_is_named_after_any_more_is_not_public(connection: Connection) -> None:
    write_archive(connection)
    write_messages(connection, "labels", undone(2, "001"))
    assert public.people(connection, RELEASED, 10) == []
    assert not public.is_face_public(connection, RELEASED, "a-1")

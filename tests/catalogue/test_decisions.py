"""Decisions in a real PostgreSQL: which hold, and what they yield."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from catalogue import decisions as catalogue_decisions
from decisions.holding import Decisions
from schemas.decisions import Decision, FaceNamed, FacesLinked, FacesSeparated, NameRejected, NotSure
from schemas.scans import Box, KeptFace
from schemas.topics import LABELS, SCANS, Tombstone
from tests.builders.catalogue import SHA256, analysed, assigned, face, published, suggested, write_messages
from tests.builders.decisions import a_decision, decisions_from, decisions_of_all_kinds, named, undone


def holding(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT decision_id FROM holding_decisions")}


def from_the_tables(connection: Connection, face_id: str) -> tuple[object, ...]:
    pairs = catalogue_decisions.pairs(connection, face_id)
    return (
        {it.label_id for it in catalogue_decisions.rejections(connection, face_id)},
        {it.face_id for it in pairs if it.kind == "linked"},
        {it.face_id for it in pairs if it.kind == "separated"},
        bool(catalogue_decisions.not_faces(connection, [face_id])),
    )


def from_memory(held: Decisions, face_id: str) -> tuple[object, ...]:
    return (
        set(held.labels(face_id).rejected),
        set(held.linked(face_id)),
        held.separated(face_id),
        held.labels(face_id).not_a_face,
    )


def unsure_in_memory(held: Decisions, face_id: str) -> set[str]:
    """The people of whom the last that was decided about them and the face, and counts, is that nobody is sure."""
    last: dict[str, Decision] = {}
    for decision in held.history(face_id):
        if isinstance(decision, FaceNamed | NameRejected | NotSure) and held.holds(decision) and held.count(decision):
            person_id = held.person_of(decision.label_id)
            if not isinstance(decision, NotSure):
                last.pop(person_id, None)
            elif decision.until > datetime.now(UTC):
                last[person_id] = decision
    return set(last)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decisions=st.lists(decisions_of_all_kinds, max_size=12))
def test_the_views_agree_with_the_decisions_in_memory(connection: Connection, decisions: list[Decision]) -> None:
    connection.execute("TRUNCATE decisions, known_labels")
    # In several batches: what is known of people is computed again for those of a batch alone.
    for start in range(0, len(decisions), 3):
        write_messages(connection, "labels", *decisions[start : start + 3])
    held = decisions_from(*decisions)
    decisions = list(held)
    assert holding(connection) == {it.decision_id for it in decisions if held.holds(it)}
    for face_id in "fgh":
        assert from_the_tables(connection, face_id) == from_memory(held, face_id)
        assert {it.label_id for it in catalogue_decisions.unsure(connection, face_id)} == unsure_in_memory(
            held, face_id
        )
    found = {it.label_id: (it.name, it.authority) for it in catalogue_decisions.people(connection)}
    assert found == {it.label_id: (it.name, it.authority) for it in held.people().values()}
    names = {label_id: catalogue_decisions.name_of(connection, label_id) for label_id in held.known_labels()}
    assert names == {label_id: person.name for label_id, person in held.known_labels().items()}


def test_a_decision_is_a_row_with_author_time_and_note_and_its_tombstone_takes_it_out(connection: Connection) -> None:
    decision = named(1, "f", "grace", note="the caption says so", authority="https://viaf.org/viaf/12345")
    write_messages(connection, "labels", decision)
    found = connection.execute("SELECT * FROM decisions").fetchall()
    what = ("f", None, "grace", None, "Grace", "https://viaf.org/viaf/12345", None, None)
    assert found == [("001", "named", "Ann", decision.decided_at, "the caption says so", *what)]
    write_messages(connection, "labels", Tombstone(LABELS, "001"))
    assert holding(connection) == set()


def test_a_decision_with_an_id_that_no_index_holds_is_a_dead_letter_and_skipped(connection: Connection) -> None:
    write_messages(connection, "labels", named(1, "f", "ö" * 1000), named(2, "f", "grace"))
    assert holding(connection) == {"002"}
    assert connection.execute("SELECT reason FROM dead_letters").fetchall() == [
        (f"an id of more than 1300 bytes: {'ö' * 60}…",)
    ]


@pytest.fixture
def album(connection: Connection) -> Connection:
    """Two people named, one of them suggested for two faces, one of these on a withdrawn scan."""
    write_messages(connection, "scans", published("s1"))
    write_messages(connection, "faces", analysed("s1", face("f"), face("g"), face("h")), analysed("s2", face("w")))
    write_messages(
        connection, "assignments", assigned("f", "s1", "f", name="grace"), assigned("h", "s1", "h", name="eileen")
    )
    write_messages(connection, "assignments", suggested("g", "s1", "f", ("grace", 0.75), ("unheard-of", 0.25)))
    write_messages(connection, "assignments", suggested("w", "s2", "f", ("grace", 1.0)))
    write_messages(connection, "labels", named(1, "f", "grace", name="Grace Hopper"), named(2, "h", "eileen"))
    return connection


def test_people_count_their_named_and_suggested_faces_of_published_scans(album: Connection) -> None:
    assert catalogue_decisions.people(album) == [
        catalogue_decisions.NamedPerson("eileen", "Eileen", None, hard=1, soft=0),
        catalogue_decisions.NamedPerson("grace", "Grace Hopper", None, hard=1, soft=1),
    ]


def test_suggestions_have_the_name_of_the_person_and_a_named_face_has_none(album: Connection) -> None:
    assert catalogue_decisions.distribution(album, "g") == [
        catalogue_decisions.SuggestedName("grace", "Grace Hopper", 0.75),
        catalogue_decisions.SuggestedName("unheard-of", "unheard-of", 0.25),
    ]
    assert catalogue_decisions.distribution(album, "f") == []
    assert catalogue_decisions.name_of(album, "grace") == "Grace Hopper"


def test_orphans_are_decisions_that_hold_about_missing_faces(album: Connection) -> None:
    write_messages(
        album, "labels", named(3, "gone", "grace"), a_decision(NameRejected, 4, face_id="g", label_id="grace")
    )
    write_messages(
        album,
        "labels",
        a_decision(FacesLinked, 5, face_id="w", other_face_id="f"),
        named(6, "w", "eileen"),
        undone(7, "006"),
    )
    write_messages(album, "labels", a_decision(FacesSeparated, 8, face_id="gone", other_face_id="w"))
    found = [(it.missing_face_id, it.decision_id, it.kind, it.name) for it in catalogue_decisions.orphans(album)]
    assert found == [
        ("gone", "003", "named", "Grace"),
        ("w", "005", "linked", None),
        ("gone", "008", "separated", None),
        ("w", "008", "separated", None),
    ]


def test_kinds_are_the_words_of_the_types() -> None:
    assert FaceNamed.type.split(".")[2] == named(1, "f", "grace").kind == "named"


def test_an_orphaned_decision_has_the_reason_why_its_face_is_not_there(connection: Connection) -> None:
    replaced, lost, early = (
        KeptFace(face_id=name, box=Box(left=0.1, top=0.1, right=0.2, bottom=0.2), sha256=sha256)
        for name, sha256 in (("replaced", "1" * 64), ("lost", SHA256), ("early", None))
    )
    write_messages(connection, "scans", published("s1", keep=(replaced, lost)), published("s2", keep=(early,)))
    faces = ("replaced", "lost", "early", "withdrawn")
    write_messages(connection, "labels", *(named(number, face_id, "grace") for number, face_id in enumerate(faces)))
    orphans = catalogue_decisions.orphans(connection)
    assert [(orphan.missing_face_id, orphan.scan_id, orphan.reason) for orphan in orphans] == [
        ("replaced", "s1", "replaced"),
        ("lost", "s1", "not found"),
        ("early", "s2", "not found"),
        ("withdrawn", None, "unknown"),
    ]
    # The first picture is put back, and its face found again.
    write_messages(connection, "scans", published("s1", sha256="1" * 64, keep=(replaced,)), Tombstone(SCANS, "s2"))
    write_messages(connection, "faces", analysed("s1", face("replaced")))
    orphans = catalogue_decisions.orphans(connection)
    assert [(orphan.missing_face_id, orphan.reason) for orphan in orphans] == [
        ("lost", "unknown"),
        ("early", "unknown"),
        ("withdrawn", "unknown"),
    ]

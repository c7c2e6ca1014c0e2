"""People, faces, suggestions and orphans, as the commands print them on a real catalogue."""

from __future__ import annotations

import pytest

from schemas.decisions import FacesLinked, FacesSeparated, NameRejected
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published, suggested
from tests.builders.commands import Facestream
from tests.builders.decisions import a_decision, named

pytestmark = pytest.mark.usefixtures("album")


@pytest.fixture
def album(write: WriteMessages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grace (g1) and Eileen (g4) named in one cluster, two faces between them, a stranger (x1), and noise (n1)."""
    monkeypatch.setenv("COLUMNS", "160")
    write("scans", published("album/1.jpg", "file:///album/1.jpg"))
    line = [face("g1"), face("g2", [0.1]), face("g3", [0.2]), face("g4", [0.3])]
    write("faces", analysed("album/1.jpg", *line, face("x1", [0.45]), face("n1", [0, 0.05])))
    on = "album/1.jpg"
    write("assignments", assigned("g1", on, "g1", name="grace"), assigned("g4", on, "g1", name="eileen"))
    write("assignments", suggested("g2", on, "g1", ("grace", 0.75), ("eileen", 0.25)))
    write("assignments", suggested("g3", on, "g1", ("eileen", 0.6)), assigned("n1", on, None), assigned("x1", on, "x1"))
    write("labels", named(1, "g1", "grace", name="Grace Hopper", authority="https://viaf.org/viaf/1"))
    write("labels", named(2, "g4", "eileen"), a_decision(NameRejected, 3, face_id="g3", label_id="grace"))
    write("labels", a_decision(FacesLinked, 4, face_id="g3", other_face_id="g4"))
    write("labels", a_decision(FacesSeparated, 5, face_id="x1", other_face_id="g3"))


def test_people_are_listed_with_their_faces(facestream: Facestream) -> None:
    assert facestream("people").table_rows() == [
        ["Eileen", "eileen", "1", "1", ""],
        ["Grace Hopper", "grace", "1", "1", "https://viaf.org/viaf/1"],
    ]
    assert facestream("people", "--json").json_lines()[1] == {
        "label_id": "grace",
        "name": "Grace Hopper",
        "authority": "https://viaf.org/viaf/1",
        "hard": 1,
        "soft": 1,
    }


def test_a_face_is_shown_with_everything_that_is_known_of_it(facestream: Facestream) -> None:
    assert facestream("show", "g3").table_rows() == [
        ["scan", "album/1.jpg"],
        ["picture", "file:///album/1.jpg"],
        ["box", "left 0.2500, top 0.2500, right 0.5000, bottom 0.7500"],
        ["cluster", "g1"],
        ["role", "core"],
        ["proposed", "0.6000 Eileen (eileen)"],
        ["never", "Grace Hopper (Ann, decision 003)"],
        ["linked", "g4 (Ann, decision 004)"],
        ["separated", "x1 (Ann, decision 005)"],
    ]
    assert ["name", "Grace Hopper (grace)"] in facestream("show", "g1").table_rows()
    assert ["name", "none, and none is proposed"] in facestream("show", "x1").table_rows()
    assert ["cluster", "noise"] in facestream("show", "n1").table_rows()
    (shown,) = facestream("show", "g3", "--json").json_lines()
    eileen = {"label_id": "eileen", "name": "Eileen", "probability": 0.6}
    assert (shown["hard_label"], shown["soft_label"], shown["distribution"]) == (None, eileen, [eileen])
    assert shown["never"] == [{"label_id": "grace", "name": "Grace Hopper", "decision_id": "003"}]
    assert shown["linked"] == [{"face_id": "g4", "decision_id": "004"}]
    assert shown["separated"] == [{"face_id": "x1", "decision_id": "005"}]
    (shown,) = facestream("show", "g1", "--json").json_lines()
    assert shown["hard_label"] == {"label_id": "grace", "name": "Grace Hopper"}
    assert (shown["soft_label"], shown["distribution"]) == (None, [])


def test_names_near_a_face_are_a_row_each(facestream: Facestream) -> None:
    assert facestream("suggest", "g2", "--radius", 0.15).table_rows() == [
        ["Grace Hopper", "0.7500", "1", "0.100", "0", "-"],
        ["Eileen", "0.2500", "0", "-", "1", "0.100"],
    ]
    assert [row["label_id"] for row in facestream("suggest", "g2", "--k", 1, "--json").json_lines()] == [
        "grace",
        "eileen",
    ]
    # Up to eps_max by default.
    assert [(row["hard"], row["soft"]) for row in facestream("suggest", "x1", "--json").json_lines()] == [
        (1, 1),
        (1, 1),
    ]


def test_candidates_are_found_by_name_or_label_id_best_first(facestream: Facestream) -> None:
    assert facestream("candidates", "grace hopper").table_rows() == [
        ["g2", "0.7500", "0.100", "album/1.jpg"],
        ["n1", "-", "0.050", "album/1.jpg"],
        ["x1", "-", "0.450", "album/1.jpg"],
    ]
    assert [row["face_id"] for row in facestream("candidates", "grace", "--radius", 0.2, "--json").json_lines()] == [
        "g2",
        "n1",
    ]
    assert [row["face_id"] for row in facestream("candidates", "grace", "--limit", 1, "--json").json_lines()] == ["g2"]


def test_where_a_name_reaches_several_clusters_each_is_proposed_as_a_whole(
    facestream: Facestream, write: WriteMessages
) -> None:
    write("assignments", assigned("n1", "album/1.jpg", "x1"))
    printed = facestream("candidates", "grace hopper").out
    assert "Clusters that may be Grace Hopper" in printed
    assert "Faces that may be Grace Hopper" in printed
    *faces, first, second = facestream("candidates", "grace hopper", "--json").json_lines()
    assert ["faces" in row for row in faces] == [False, False, False]
    assert (first["cluster_id"], first["faces"], first["probability"], first["face_id"]) == ("g1", 1, 0.75, "g2")
    assert (second["cluster_id"], second["faces"], second["probability"], second["face_id"]) == ("x1", 2, None, "n1")


def test_the_face_to_name_next_is_of_the_least_settled_cluster(facestream: Facestream) -> None:
    assert facestream("next").table_rows() == [
        ["x1", "0", "1", "0", "album/1.jpg"],
        ["g3", "1", "4", "2", "album/1.jpg"],
    ]
    (first,) = facestream("next", "--limit", 1, "--json").json_lines()
    assert (first["face_id"], first["unsettled"], first["settles"], first["of"]) == ("x1", 1.0, 0, 1)


def test_orphans_are_listed_with_what_was_decided_about_them(facestream: Facestream, write: WriteMessages) -> None:
    assert facestream("orphans", "--json").json_lines() == []
    write("labels", named(6, "gone", "grace"), a_decision(FacesLinked, 7, face_id="g1", other_face_id="lost"))
    printed = facestream("orphans").out
    assert "Decisions about faces that are not there: 2" in printed
    assert "is one person with g1" in printed
    assert "face gone: its scan was withdrawn, or is not analysed yet\n" in printed
    assert "they are kept, and take effect when the face is in the catalogue (again)" in printed
    assert [(row["missing_face_id"], row["decision_id"]) for row in facestream("orphans", "--json").json_lines()] == [
        ("gone", "006"),
        ("lost", "007"),
    ]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["show", "zz"], "there is no face 'zz' in the catalogue"),
        (["suggest", "g"], "'g' is the beginning of more than one face's id, g1 and g2 among them"),
        (["suggest", "g2", "--radius", "1", "--k", "3"], "--radius and --k exclude each other: give one of them"),
        (["candidates", "nobody"], "nobody is called nobody: facestream people lists who was named"),
        (["reanalyse"], "name the scans to analyse again: their ids, --collection, or --all alone"),
        (
            ["reanalyse", "--all", "s"],
            "name the scans to analyse again: their ids, --collection, or --all alone",
        ),
    ],
)
def test_wrong_input_is_one_clear_line(facestream: Facestream, arguments: list[str], answer: str) -> None:
    ended = facestream(*arguments)
    assert (ended.code, ended.out, ended.err) == (1, "", f"facestream: {answer}\n")


def test_an_empty_catalogue_has_empty_answers(facestream: Facestream, write: WriteMessages) -> None:
    write("faces", analysed("album/1.jpg"))
    for command in (["next"], ["candidates", "grace"]):
        assert facestream(*command, "--json").json_lines() == []

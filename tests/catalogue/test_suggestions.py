"""Names near a face, faces near a name, and what to name next, on a real PostgreSQL."""

from __future__ import annotations

import pytest
from psycopg import Connection

from catalogue import decisions as catalogue_decisions
from catalogue import reader, suggestions
from catalogue.errors import CatalogueError
from schemas.decisions import FacesSeparated, NameRejected
from schemas.topics import ASSIGNMENTS, LABELS, SCANS, Tombstone
from tests.builders.catalogue import analysed, assigned, face, published, suggested, write_messages
from tests.builders.decisions import a_decision, merged, named, not_a_face, not_sure, removed


@pytest.fixture
def album(connection: Connection) -> Connection:
    """Grace's cluster (g…) along a line, with Eileen named at its other end; a cluster of Eileen's; strangers."""
    write_messages(connection, "scans", published("s"), published("t"))
    line = [face("g1"), face("g2", [0.1]), face("g3", [0.2]), face("g4", [0.3])]
    others = [face("e1", [1]), face("x1", [0.35]), face("x2", [0.45]), face("x3", [0.95]), face("n1", [0, 0.05])]
    write_messages(connection, "faces", analysed("s", *line, *others), analysed("t", face("w1", [0.05])))
    write_messages(
        connection, "assignments", assigned("g1", "s", "g1", name="grace"), assigned("g4", "s", "g1", name="eileen")
    )
    write_messages(connection, "assignments", suggested("g2", "s", "g1", ("grace", 0.75), ("eileen", 0.25)))
    write_messages(connection, "assignments", suggested("g3", "s", "g1", ("eileen", 0.6), ("grace", 0.4)))
    write_messages(
        connection, "assignments", assigned("e1", "s", "e1", name="eileen"), suggested("x3", "s", "e1", ("eileen", 1.0))
    )
    write_messages(
        connection, "assignments", assigned("x1", "s", "x1"), assigned("x2", "s", "x1"), assigned("n1", "s", None)
    )
    write_messages(connection, "assignments", assigned("w1", "t", "g1", name="grace"))
    write_messages(connection, "labels", named(1, "g1", "grace"), named(2, "g4", "eileen"))
    return connection


def test_names_near_a_face_have_their_probability_and_the_faces_that_carry_them(album: Connection) -> None:
    grace, eileen = suggestions.names_near(album, "g2", radius=0.15)
    assert (grace.label_id, grace.name, grace.probability) == ("grace", "Grace", 0.75)
    assert (grace.hard, grace.nearest_hard, grace.soft) == pytest.approx((2, 0.05, 0), abs=1e-6)
    assert (eileen.probability, eileen.hard, eileen.nearest_hard) == (0.25, 0, None)
    assert (eileen.soft, eileen.nearest_soft) == pytest.approx((1, 0.1), abs=1e-6)


def test_a_face_without_a_cluster_has_the_names_of_the_faces_around_it(album: Connection) -> None:
    found = [(it.label_id, it.probability, it.hard, it.soft) for it in suggestions.names_near(album, "n1", radius=0.4)]
    assert found == [("grace", None, 2, 1), ("eileen", None, 1, 1)]
    assert [it.label_id for it in suggestions.names_near(album, "n1", k=1)] == ["grace"]
    assert suggestions.names_near(album, "n1", radius=0.01) == []


def test_a_rejected_name_is_not_suggested(album: Connection) -> None:
    write_messages(album, "labels", a_decision(NameRejected, 3, face_id="g2", label_id="grace"))
    assert [it.label_id for it in suggestions.names_near(album, "g2", radius=0.15)] == ["eileen"]


def test_names_near_an_unknown_face_are_refused(album: Connection) -> None:
    with pytest.raises(CatalogueError, match="there is no face 'nobody'"):
        suggestions.names_near(album, "nobody")


def candidates(connection: Connection, label_id: str, radius: float = 0.5, limit: int = 10) -> list[str]:
    return [it.face_id for it in suggestions.candidates(connection, label_id, radius, limit)]


def test_candidates_come_by_probability_and_then_by_distance_from_other_clusters(album: Connection) -> None:
    # n1 is 0.05 from g1, x1 0.3 from w1, x2 0.4: w1 carries the name as well.
    assert candidates(album, "grace") == ["g2", "g3", "n1", "x1", "x2"]
    first, *_, last = suggestions.candidates(album, "grace", radius=0.5, limit=10)
    assert (first.soft_label, last.cluster_id) == ("grace", "x1")
    assert (first.probability, first.distance) == pytest.approx((0.75, 0.05), abs=1e-6)
    assert (last.probability, last.distance) == pytest.approx((None, 0.4), abs=1e-6)
    assert candidates(album, "grace", radius=0.1) == ["g2", "g3", "n1"]
    assert candidates(album, "grace", limit=1) == ["g2"]


def test_candidates_of_one_probability_come_by_their_distance_to_a_face_that_carries_the_name(
    album: Connection,
) -> None:
    write_messages(
        album, "assignments", *(suggested(face_id, "s", "e1", ("eileen", 1.0)) for face_id in ("x1", "x2", "x3"))
    )
    assert candidates(album, "eileen", limit=3) == ["x1", "x3", "x2"]
    assert candidates(album, "eileen", limit=1) == ["x1"]


def test_a_face_that_is_never_this_person_is_no_candidate(album: Connection) -> None:
    write_messages(album, "labels", a_decision(NameRejected, 3, face_id="g2", label_id="grace"))
    write_messages(album, "labels", a_decision(NameRejected, 4, face_id="n1", label_id="grace"))
    write_messages(album, "labels", a_decision(FacesSeparated, 5, face_id="x1", other_face_id="g1"))
    assert candidates(album, "grace") == ["g3", "x2"]


def test_nobody_carries_a_name_that_was_not_given(album: Connection) -> None:
    assert candidates(album, "nobody") == []


def test_the_next_face_is_of_the_least_settled_cluster_and_the_least_settled_of_it(album: Connection) -> None:
    x, g = suggestions.next_faces(album, limit=10)
    # Of x1 and x2 one is as far from their mean as the other.
    assert (x.face_id, x.cluster_id, x.size, x.named, x.others, x.unsettled) == ("x1", "x1", 2, 0, 1, 2.0)
    assert (g.face_id, g.cluster_id, g.size, g.named, g.others) == ("g3", "g1", 5, 3, 1)
    assert g.unsettled == pytest.approx(0.65)
    assert [it.face_id for it in suggestions.next_faces(album, limit=1)] == ["x1"]


def test_of_faces_as_unsettled_the_one_nearest_to_the_mean_of_its_cluster_is_next(connection: Connection) -> None:
    write_messages(connection, "scans", published("s"))
    write_messages(connection, "faces", analysed("s", face("a"), face("b", [0.2]), face("c", [0.3])))
    write_messages(connection, "assignments", *(assigned(face_id, "s", "a") for face_id in "abc"))
    (only,) = suggestions.next_faces(connection, limit=5)
    assert (only.face_id, only.others, only.unsettled) == ("b", 2, 3.0)


def test_nothing_is_next_where_everything_is_settled_or_withdrawn(album: Connection) -> None:
    write_messages(album, "scans", Tombstone(SCANS, "s"))
    assert suggestions.next_faces(album, limit=5) == []


def test_a_pair_of_which_nobody_is_sure_is_not_asked_for_a_while(album: Connection) -> None:
    write_messages(album, "labels", not_sure(3, "g2", "grace", days=36_500), not_sure(4, "g3", "grace", days=-1))
    assert candidates(album, "grace") == ["g3", "n1", "x1", "x2"]
    eileen, grace = suggestions.names_near(album, "g2", radius=0.15)
    assert (eileen.label_id, eileen.not_sure_until, grace.label_id) == ("eileen", None, "grace")
    assert grace.not_sure_until is not None
    (unsure,) = catalogue_decisions.unsure(album, "g2")
    assert (unsure.label_id, unsure.name, unsure.author, unsure.until) == (
        "grace",
        "Grace",
        "Ann",
        grace.not_sure_until,
    )
    # A rejection decides it.
    write_messages(album, "labels", a_decision(NameRejected, 5, face_id="g2", label_id="grace"))
    assert catalogue_decisions.unsure(album, "g2") == []


def test_the_next_face_is_none_of_whose_name_somebody_was_not_sure(album: Connection) -> None:
    # Eileen is proposed for g3, the least settled of its cluster.
    (first, *_) = [it for it in suggestions.next_faces(album, 10) if it.cluster_id == "g1"]
    assert first.face_id == "g3"
    write_messages(album, "labels", not_sure(3, "g3", "eileen", days=36_500))
    (first, *_) = [it for it in suggestions.next_faces(album, 10) if it.cluster_id == "g1"]
    assert (first.face_id, first.size) == ("g2", 4 + 1)
    write_messages(album, "labels", not_sure(4, "g2", "grace", days=36_500))
    assert "g1" not in {it.cluster_id for it in suggestions.next_faces(album, 10)}


def test_the_next_face_is_not_one_without_a_proposal_of_which_somebody_was_not_sure(album: Connection) -> None:
    assert [it.face_id for it in suggestions.next_faces(album, 1)] == ["x1"]
    write_messages(album, "labels", not_sure(3, "x1", "eileen", days=36_500))
    assert [it.face_id for it in suggestions.next_faces(album, 1)] == ["x2"]


def test_less_settled_clusters_that_are_not_asked_for_do_not_hide_the_others(album: Connection) -> None:
    write_messages(album, "labels", *(not_sure(it, f"x{it - 2}", "eileen", days=36_500) for it in (3, 4)))
    assert [it.cluster_id for it in suggestions.next_faces(album, 1)] == ["g1"]


def test_clusters_may_be_left_out_of_the_next_faces(album: Connection) -> None:
    clusters = [it.cluster_id for it in suggestions.next_faces(album, 10)]
    assert [it.cluster_id for it in suggestions.next_faces(album, 10, without=clusters[:1])] == clusters[1:]


def test_what_is_not_a_face_is_no_candidate(album: Connection) -> None:
    write_messages(album, "labels", not_a_face(3, "x1"))
    write_messages(album, "assignments", Tombstone(ASSIGNMENTS, "x1"))
    assert candidates(album, "grace") == ["g2", "g3", "n1", "x2"]
    assert [it.face_id for it in catalogue_decisions.not_faces(album)] == ["x1"]


def test_merged_people_have_one_name_and_a_removed_one_none(album: Connection) -> None:
    write_messages(album, "labels", merged(3, "grace", "eileen"))
    assert catalogue_decisions.name_of(album, "eileen") == "Grace"
    assert {it.name for it in catalogue_decisions.distribution(album, "g2")} == {"Grace"}
    assert [it.label_id for it in catalogue_decisions.people(album)] == ["grace"]
    write_messages(album, "labels", removed(4, "eileen"))
    assert catalogue_decisions.people(album) == []
    write_messages(album, "labels", Tombstone(LABELS, "004"), Tombstone(LABELS, "003"))
    assert [it.label_id for it in catalogue_decisions.people(album)] == ["eileen", "grace"]


def test_the_faces_of_a_cluster_are_read_in_pages(album: Connection) -> None:
    first = [it.face_id for it in reader.faces_of_cluster(album, "g1", 3)]
    assert first == ["g1", "g2", "g3"]
    assert [it.face_id for it in reader.faces_of_cluster(album, "g1", 3, after=first[-1])] == ["g4", "w1"]
    assert reader.faces_of_cluster(album, "unknown", 3) == []

"""Clusters that may be a person's as a whole, on a real PostgreSQL."""

from __future__ import annotations

import pytest
from psycopg import Connection

from catalogue.candidate_clusters import candidate_clusters
from schemas.decisions import FacesSeparated, NameRejected
from schemas.topics import LABELS, Tombstone
from tests.builders.catalogue import analysed, assigned, face, published, suggested, write_messages
from tests.builders.decisions import a_decision, named


@pytest.fixture
def several(connection: Connection) -> Connection:
    """Grace is named in two clusters, g and h. Near to these are x, of two faces, and lone faces; k is another's."""
    write_messages(connection, "scans", published("s"))
    first = [face("g1"), face("g2", [0.1]), face("g3", [0.2])]
    second = [face("h1", [0, 0.5]), face("h2", [0, 0.6])]
    others = [face("x1", [0.3]), face("x2", [0.35]), face("lone", [0, 0.1]), face("k1", [0.05]), face("k2", [0.06])]
    write_messages(connection, "faces", analysed("s", *first, *second, *others))
    write_messages(connection, "assignments", assigned("g1", "s", "g1", name="grace"))
    write_messages(connection, "assignments", suggested("g2", "s", "g1", ("grace", 0.8)))
    write_messages(connection, "assignments", suggested("g3", "s", "g1", ("grace", 0.7)))
    write_messages(connection, "assignments", assigned("h1", "s", "h1", name="grace"))
    write_messages(connection, "assignments", suggested("h2", "s", "h1", ("grace", 0.9)))
    write_messages(connection, "assignments", assigned("x1", "s", "x1"), assigned("x2", "s", "x1"))
    write_messages(connection, "assignments", assigned("lone", "s", "lone"))
    write_messages(connection, "assignments", assigned("k1", "s", "k1", name="eileen"))
    write_messages(connection, "assignments", suggested("k2", "s", "k1", ("eileen", 0.9)))
    write_messages(connection, "labels", named(1, "g1", "grace"), named(2, "h1", "grace"), named(3, "k1", "eileen"))
    return connection


def found(connection: Connection, radius: float = 0.5, limit: int = 10) -> list[str]:
    return [it.cluster_id for it in candidate_clusters(connection, "grace", radius, limit)]


def test_clusters_come_by_their_best_probability_and_then_those_nearby_in_which_nobody_is_named(
    several: Connection,
) -> None:
    second, first, unnamed = candidate_clusters(several, "grace", radius=0.5, limit=10)
    assert (second.cluster_id, second.face_id, second.faces, second.probability) == ("h1", "h2", 1, 0.9)
    assert (first.cluster_id, first.face_id, first.faces, first.probability) == ("g1", "g2", 2, 0.8)
    assert (unnamed.cluster_id, unnamed.face_id, unnamed.faces, unnamed.probability) == ("x1", "x1", 2, None)
    assert [it.distance for it in (second, first, unnamed)] == pytest.approx([0.1, 0.1, 0.3], abs=1e-6)
    assert found(several, radius=0.2) == ["h1", "g1"]
    assert found(several, limit=1) == ["h1"]


def test_where_there_is_only_one_cluster_its_faces_are_proposed_and_not_the_cluster(several: Connection) -> None:
    write_messages(several, "labels", Tombstone(LABELS, "002"))
    write_messages(several, "assignments", assigned("h1", "s", "h1"), assigned("h2", "s", "h2"))
    assert found(several, radius=0.2) == []
    assert found(several) == ["g1", "x1"]


def test_a_cluster_near_a_person_whose_own_faces_all_have_the_name_is_proposed(several: Connection) -> None:
    for face_id in ("g2", "g3"):
        write_messages(several, "assignments", assigned(face_id, "s", "g1", name="grace"))
    write_messages(several, "assignments", assigned("h2", "s", "h1", name="grace"))
    assert found(several) == ["x1"]


def test_a_cluster_with_a_face_that_is_never_the_person_is_not_proposed_as_a_whole(several: Connection) -> None:
    write_messages(several, "labels", a_decision(NameRejected, 4, face_id="x2", label_id="grace"))
    assert found(several) == ["h1", "g1"]
    write_messages(several, "labels", a_decision(FacesSeparated, 5, face_id="g2", other_face_id="g1"))
    assert [it.faces for it in candidate_clusters(several, "grace", 0.5, 10)] == [1, 1]

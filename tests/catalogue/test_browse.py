"""Lists of clusters, people and scans: from totals that are kept as assignments come and go."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from catalogue import browse
from schemas.clusters import FaceAssigned, Role, Suggestion
from schemas.topics import ASSIGNMENTS, Tombstone
from tests.builders.catalogue import analysed, face, published, write_messages

_LABELS = ("ada", "grace")


def assigned(
    face_id: str, cluster_id: str | None, hard: str | None = None, soft: str | None = None, probability: float = 0.3
) -> FaceAssigned:
    suggestion = Suggestion(label_id=soft, probability=probability) if soft else None
    return FaceAssigned(
        face_id=face_id,
        scan_id="s",
        analysis=0,
        cluster_id=cluster_id,
        role=Role.CORE if cluster_id else Role.NOISE,
        hard_label=hard,
        soft_label=suggestion,
        distribution=(suggestion,) if suggestion else (),
    )


@pytest.fixture
def album(connection: Connection) -> Connection:
    """Clusters a (three faces, two names), b (two, none), c (two, one name) and a face in none."""
    write_messages(connection, "scans", published("s"))
    write_messages(connection, "faces", analysed("s", *(face(it) for it in ("a1", "a2", "a3", "b1", "b2", "c1", "c2"))))
    write_messages(
        connection,
        "assignments",
        assigned("a1", "a1", hard="ada"),
        assigned("a2", "a1", hard="grace"),
        assigned("a3", "a1", soft="ada"),
        assigned("b1", "b1"),
        assigned("b2", "b1"),
        assigned("c1", "c1", hard="ada"),
        assigned("c2", "c1", soft="ada", probability=1.0),
        assigned("n", None),
    )
    return connection


def test_clusters_are_filtered_and_sorted(album: Connection) -> None:
    def listed(which: browse.ClusterFilter, order: browse.ClusterOrder = "largest") -> list[str]:
        return [it.cluster_id for it in browse.clusters(album, which, order, 10, 0, 2)]

    assert listed("all") == ["a1", "b1", "c1"]
    assert listed("all", "smallest") == ["b1", "c1", "a1"]
    assert listed("all", "least-named") == ["b1", "a1", "c1"]
    assert (listed("unnamed"), listed("named"), listed("mixed")) == (["b1"], ["a1", "c1"], ["a1"])
    (second,) = browse.clusters(album, "named", "largest", 1, 1, 1)
    assert (second.cluster_id, second.size, second.named, second.label_ids, second.face_ids) == (
        *("c1", 2, 1),
        *(["ada"], ["c1"]),
    )


def test_a_cluster_and_its_labels_are_counted(album: Connection) -> None:
    assert browse.members(album, "a1").size == 3
    assert browse.members(album, "nowhere") == browse.Members(0, "")
    assert browse.labels_of_cluster(album, "a1") == {"ada": 1, "grace": 1}
    # Of c2 the name is certain.
    assert [browse.unnamed_others(album, *it) for it in (("b1", "b1"), ("a1", "a1"), ("c1", "c1"))] == [1, 1, 0]
    assert browse.count_of_noise(album) == 1
    assert browse.count_of_person(album, "ada") == 2
    counts = {it.label_id: (it.hard, it.soft, it.face_id) for it in browse.label_counts(album, [*_LABELS, "nobody"])}
    assert counts == {"ada": (2, 2, "a1"), "grace": (1, 0, "a2")}


def test_another_face_in_a_cluster_of_one_size_is_another_digest(album: Connection) -> None:
    before = browse.members(album, "b1")
    write_messages(album, "assignments", assigned("b2", "a1"), assigned("a3", "b1"))
    after = browse.members(album, "b1")
    assert (before.size, after.size) == (2, 2)
    assert before.digest != after.digest
    write_messages(album, "assignments", assigned("b2", "b1"), assigned("a3", "a1"))
    assert browse.members(album, "b1") == before


_ASSIGNMENTS = st.builds(
    assigned,
    st.sampled_from(["1", "2", "3", "4", "5"]),
    st.sampled_from([None, "x", "y"]),
    st.sampled_from([None, *_LABELS]),
    st.sampled_from([None, *_LABELS]),
    st.floats(0, 1),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(_ASSIGNMENTS | st.sampled_from("12345").map(lambda it: Tombstone(ASSIGNMENTS, it)), max_size=6),
        max_size=6,
    )
)
def test_the_totals_are_those_of_the_assignments_whatever_came_before(
    connection: Connection, batches: list[list[FaceAssigned | Tombstone]]
) -> None:
    for batch in batches:
        write_messages(connection, "assignments", *batch)
    for table, added_up in {
        "cluster_totals": """
            SELECT cluster_id, count(*), count(hard_label), count(*) FILTER (WHERE uncertainty > 0), sum(uncertainty),
                   sum(hashtextextended(face_id, 0)::numeric)
            FROM (SELECT *, uncertainty_of(hard_label, probability) AS uncertainty FROM assignments) a
            WHERE cluster_id IS NOT NULL GROUP BY 1
        """,
        "cluster_labels": """
            SELECT coalesce(cluster_id, ''), hard_label, count(*) FROM assignments WHERE hard_label IS NOT NULL
            GROUP BY 1, 2
        """,
        "label_totals": """
            SELECT coalesce(hard_label, soft_label), count(hard_label), count(*) - count(hard_label) FROM assignments
            WHERE coalesce(hard_label, soft_label) IS NOT NULL GROUP BY 1
        """,
    }.items():
        assert set(connection.execute(f"SELECT * FROM {table}")) == set(connection.execute(added_up)), table


@pytest.mark.parametrize(
    ("text", "collection", "year", "found"),
    [
        ("AN_1", None, None, ["plan_1.jpg"]),
        ("n", None, None, ["plan_1.jpg", "plans/1918.jpg"]),
        ("1918", None, None, ["plans/1918.jpg"]),
        (None, None, "1918", ["plan_1.jpg", "x"]),
        (None, "war", "1918", ["x"]),
        ("pla", "war", None, []),
        (None, None, "191", []),
        (None, None, ".*", []),
        (None, "album", None, ["plan_1.jpg", "plans/1918.jpg"]),
    ],
)
def test_scans_are_found_by_a_part_of_their_id_by_collection_and_by_year(
    connection: Connection, text: str | None, collection: str | None, year: str | None, found: list[str]
) -> None:
    write_messages(
        connection,
        "scans",
        published("plan_1.jpg", collection="album", metadata={"date": "24.02.1918", "place": "Tallinn"}),
        published("plans/1918.jpg", collection="album", metadata={"number": "19181", "other": "a1918"}),
        published("x", collection="war", metadata={"date": "1918 or 1919"}),
    )
    assert [it.scan_id for it in browse.scans(connection, text, collection, year, 10)] == found

"""Queries on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from psycopg import Connection

from catalogue import reader
from catalogue.errors import CatalogueError
from schemas.clusters import Change
from schemas.topics import FACES, SCANS, Tombstone
from tests.builders.catalogue import analysed, assigned, changed, dead, face, published, write_messages


@pytest.fixture
def album(connection: Connection) -> Iterator[Connection]:
    """Three scans. One cluster of three faces (one named), one of one, one face of noise, one not yet clustered."""
    write_messages(connection, "scans", *(published(f"s{number}", f"file:///s{number}.jpg") for number in (1, 2, 3)))
    write_messages(
        connection, "faces", analysed("s1", face("a1"), face("b1", [0.6])), analysed("s2", face("a2", [0.1]))
    )
    write_messages(connection, "faces", analysed("s3", face("a3", [0.2]), face("n1", [0, 5]), face("new", [0, 0, 9])))
    write_messages(connection, "assignments", *(assigned(f"a{number}", f"s{number}", "a1") for number in (1, 3)))
    write_messages(connection, "assignments", assigned("a2", "s2", "a1", name="anna"))
    write_messages(connection, "assignments", assigned("b1", "s1", "b1"), assigned("n1", "s3", None))
    yield connection


def test_an_empty_catalogue_counts_nothing(connection: Connection) -> None:
    assert reader.counts(connection) == reader.Counts(0, 0, 0, 0, 0, 0, 0, 0)
    assert reader.clusters(connection) == []


def test_counts_are_the_numbers_of_rows(album: Connection) -> None:
    write_messages(album, "scans", published("broken"), published("mended"), published("waiting"))
    write_messages(album, "dead-letters", dead(b"broken"), dead(b"mended", offset=1), dead(b"{]", offset=2))
    write_messages(album, "faces", analysed("mended"))
    assert reader.counts(album) == reader.Counts(
        scans=6, analysed=4, dead_scans=1, faces=6, clusters=2, noise=1, named=1, dead_letters=3
    )


def test_clusters_come_largest_first_and_noise_is_none(album: Connection) -> None:
    largest = reader.Cluster("a1", size=3, scans=3, label_ids=["anna"], example_scan_id="s1")
    smallest = reader.Cluster("b1", size=1, scans=1, label_ids=[], example_scan_id="s1")
    assert reader.clusters(album) == [largest, smallest]
    assert reader.clusters(album, limit=1) == [largest]


def test_the_faces_of_clusters_come_cluster_by_cluster(album: Connection) -> None:
    found = [[(face.face_id, face.uri) for face in faces] for faces in reader.faces_of_clusters(album)]
    assert found == [
        [("a1", "file:///s1.jpg"), ("a2", "file:///s2.jpg"), ("a3", "file:///s3.jpg")],
        [("b1", "file:///s1.jpg")],
    ]
    assert len(list(reader.faces_of_clusters(album, limit=1))) == 1


def test_the_faces_of_scans_know_the_rank_and_size_of_their_cluster(album: Connection) -> None:
    found = [[(it.face.face_id, it.rank, it.size) for it in faces] for faces in reader.faces_of_scans(album)]
    assert found == [[("a1", 1, 3), ("b1", 2, 1)], [("a2", 1, 3)], [("a3", 1, 3), ("n1", None, None)]]


def test_other_queries_may_run_while_faces_are_read(album: Connection) -> None:
    scans = [reader.scan(album, faces[0].face.scan_id) for faces in reader.faces_of_scans(album)]
    assert scans == [published(f"s{number}", f"file:///s{number}.jpg") for number in (1, 2, 3)]


def test_a_face_is_found_by_the_beginning_of_its_id(album: Connection) -> None:
    assert reader.face_id_of(album, "b") == "b1"
    with pytest.raises(CatalogueError, match="'a' is the beginning of more than one face's id, a1 and a2 among them"):
        reader.face_id_of(album, "a")
    with pytest.raises(CatalogueError, match="there is no face 'x' in the catalogue"):
        reader.face_id_of(album, "x")


def test_a_complete_id_is_preferred_to_those_that_begin_with_it(connection: Connection) -> None:
    write_messages(connection, "scans", published("s1"))
    write_messages(connection, "faces", analysed("s1", face("a_"), face("a_b"), face("axb"), face("axc"), face("a\\d")))
    assert reader.face_id_of(connection, "a_") == "a_"
    assert reader.face_id_of(connection, "a\\") == "a\\d"


def test_similar_faces_come_nearest_first_with_their_clusters(album: Connection) -> None:
    found = reader.similar(album, "a1", k=3)
    assert [(it.face.face_id, it.face.cluster_id, it.face.scan_id) for it in found] == [
        ("a2", "a1", "s2"),
        ("a3", "a1", "s3"),
        ("b1", "b1", "s1"),
    ]
    assert [it.distance for it in found] == pytest.approx([0.1, 0.2, 0.6], abs=1e-6)


def test_similar_faces_of_an_unknown_face_are_refused(album: Connection) -> None:
    with pytest.raises(CatalogueError, match="there is no face 'nobody'"):
        reader.similar(album, "nobody", k=3)


def neighbours_by_hand(vectors: np.ndarray, of: int, k: int) -> list[str]:
    distances = np.linalg.norm(vectors - vectors[of], axis=1)
    distances[of] = np.inf
    return [f"f{number}" for number in np.argsort(distances)[:k]]


def test_similar_faces_are_the_nearest_ones_by_way_of_the_index(connection: Connection) -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 128)).astype("<f4") * 0.05
    write_messages(connection, "scans", published("s"))
    write_messages(
        connection, "faces", analysed("s", *(face(f"f{number}", list(it)) for number, it in enumerate(vectors)))
    )
    connection.execute("ANALYZE faces")
    nearest = "EXPLAIN SELECT face_id FROM faces ORDER BY embedding <-> (SELECT embedding FROM faces LIMIT 1) LIMIT 10"
    assert "faces_near" in str(connection.execute(nearest).fetchall())
    right = 0
    for of in range(50):
        found = [it.face.face_id for it in reader.similar(connection, f"f{of}", k=10)]
        right += len(set(found) & set(neighbours_by_hand(vectors, of, 10)))
    assert right / 500 > 0.95
    assert len(reader.similar(connection, "f0", k=reader.MOST_NEIGHBOURS)) == reader.MOST_NEIGHBOURS


def redirects(connection: Connection, cluster_ids: Sequence[str]) -> list[str | None]:
    return [reader.current_cluster(connection, cluster_id) for cluster_id in cluster_ids]


def test_a_retired_id_leads_to_the_current_one_in_one_step(connection: Connection) -> None:
    write_messages(connection, "clusters", *(changed(cluster_id, Change.CREATED) for cluster_id in "abc"))
    write_messages(connection, "clusters", changed("c", Change.MERGED, 0, "b"), changed("b", Change.GROWN, 2))
    assert redirects(connection, "abc") == ["a", "b", "b"]
    write_messages(connection, "clusters", changed("b", Change.MERGED, 0, "a"), changed("a", Change.GROWN, 3))
    assert redirects(connection, "abc") == ["a", "a", "a"]
    assert reader.current_cluster(connection, "never heard of") is None


def test_an_id_that_is_in_use_again_yields_itself(connection: Connection) -> None:
    write_messages(connection, "clusters", changed("a", Change.CREATED), changed("b", Change.CREATED))
    write_messages(connection, "clusters", changed("b", Change.MERGED, 0, "a"), changed("a", Change.RETIRED, 0, "b"))
    write_messages(connection, "clusters", changed("b", Change.CREATED))
    assert redirects(connection, "ab") == ["b", "b"]


def test_a_removed_cluster_has_no_successor(connection: Connection) -> None:
    write_messages(connection, "clusters", changed("a", Change.CREATED), changed("b", Change.CREATED))
    write_messages(connection, "clusters", changed("b", Change.MERGED, 0, "a"), changed("a", Change.RETIRED, 0))
    assert redirects(connection, "ab") == [None, None]


def test_redirects_in_a_circle_yield_nothing(connection: Connection) -> None:
    write_messages(connection, "clusters", changed("a", Change.MERGED, 0, "b"), changed("b", Change.MERGED, 0, "a"))
    assert redirects(connection, "ab") == [None, None]


def test_faces_of_a_withdrawn_scan_are_in_no_cluster(album: Connection) -> None:
    write_messages(album, "scans", Tombstone(SCANS, "s3"))
    assert [cluster.size for cluster in reader.clusters(album)] == [2, 1]
    assert [len(faces) for faces in reader.faces_of_clusters(album)] == [2, 1]
    write_messages(album, "faces", Tombstone(FACES, "s3"))
    assert reader.counts(album).faces == 3

"""A generation with an embedder of its own has its embeddings beside the others; queries compare those of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from psycopg import Connection

from catalogue import browse, generations, held, own_vectors, reader, suggestions, vector_index
from catalogue.candidate_clusters import candidate_clusters
from catalogue.errors import CatalogueError
from producers.generations import definition
from schemas.faces import ScanAnalysed
from schemas.generations import GenerationEmbedder, GenerationParameters, GenerationPromoted, State
from schemas.topics import FACES, NEIGHBOURS, Tombstone, of_generation
from tests.builders.catalogue import analysed, assigned, face, published, suggested, write_messages
from tests.builders.clock import NOON
from tests.builders.decisions import named

GREEN = of_generation(FACES, "green")
PARAMETERS = GenerationParameters(
    distance="euclidean",
    eps=0.9,
    eps_max=1.1,
    min_samples=1,
    shared_weight=0,
    most_neighbours=64,
    embedder=GenerationEmbedder(id="small-1", described_by="/small.toml", dimension=3, eps=0.9, eps_max=1.0),
)


def shorter(scan_id: str, face_id: str, embedding: Sequence[float]) -> ScanAnalysed:
    """An analysis by an embedder whose embeddings have 3 numbers."""
    event = analysed(scan_id, face(face_id))
    other = event.faces[0].model_copy(update={"embedding": np.array(embedding, "<f4").tobytes()})
    return event.model_copy(update={"faces": (other,)})


def promoted(generation: str, former: str) -> GenerationPromoted:
    topics = {"assignments": f"assignments-{generation}", "clusters": f"clusters-{generation}"}
    return GenerationPromoted(generation=generation, former=former, promoted_at=NOON, author="Ann", **topics)


@pytest.fixture
def album(connection: Connection) -> Connection:
    """Three faces: by blue's embedder a and b are near, by green's a and c."""
    scans = ("s1", "s2", "s3")
    write_messages(connection, "scans", *(published(name) for name in scans))
    by_blue = zip(scans, "abc", ([0.0], [0.1], [5.0]), strict=True)
    write_messages(connection, "faces", *(analysed(scan, face(name, vector)) for scan, name, vector in by_blue))
    by_green = zip(scans, "abc", ([0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.2, 0.0, 0.0]), strict=True)
    own_vectors.create(connection, "green", 3)
    write_messages(connection, GREEN.name, *(shorter(*one) for one in by_green))
    write_messages(connection, "assignments", assigned("a", "s1", "a", name="p"))
    write_messages(connection, "assignments", suggested("b", "s2", "a", ("p", 0.9)), assigned("c", "s3", "c"))
    write_messages(connection, "assignments-green", assigned("a", "s1", "a", name="p"), assigned("b", "s2", "b"))
    write_messages(connection, "assignments-green", suggested("c", "s3", "a", ("p", 0.8)))
    write_messages(connection, "labels", named(0, "a", "p", name="Ann"))
    topics = (of_generation(NEIGHBOURS, "green"), GREEN)
    write_messages(connection, "generations", definition("green", PARAMETERS, State.BUILT, NOON, 0, *topics))
    return connection


def nearest(connection: Connection) -> list[tuple[str, float]]:
    return [(it.face.face_id, round(it.distance, 3)) for it in reader.similar(connection, "a", 5)]


def test_the_live_generation_s_embeddings_are_compared_and_no_others(album: Connection) -> None:
    by_blue = [("b", 0.1), ("c", 5.0)]
    assert nearest(album) == by_blue
    assert own_vectors.radius(album) is None
    write_messages(album, "generations", promoted("green", "blue"))
    assert nearest(album) == [("c", 0.2), ("b", 4.0)]
    assert own_vectors.radius(album) == 1.1
    assert len(reader.vector_of(album, "a")) == 3 * 4
    write_messages(album, "generations", promoted("blue", "green"))
    assert nearest(album) == by_blue
    assert len(reader.vector_of(album, "a")) == 128 * 4


def test_proposals_and_typical_faces_are_by_the_same_embeddings(album: Connection) -> None:
    (candidate,) = suggestions.candidates(album, "p", 1.0, 5)
    assert (candidate.face_id, round(candidate.distance or 0, 3)) == ("b", 0.1)
    write_messages(album, "generations", promoted("green", "blue"))
    (candidate,) = suggestions.candidates(album, "p", 1.1, 5)
    assert (candidate.face_id, round(candidate.distance or 0, 3)) == ("c", 0.2)
    assert candidate_clusters(album, "p", 1.1, 5) == []
    (near,) = suggestions.names_near(album, "c", 1.1)
    assert (near.name, round(near.nearest_hard or 0, 3)) == ("Ann", 0.2)
    assert [it.face_id for it in browse.faces_of_cluster(album, "a", 5)] == ["a", "c"]
    assert {it.face_id for it in suggestions.next_faces(album, 5)} == {"b", "c"}


def test_what_is_held_about_a_face_has_both_embeddings(album: Connection) -> None:
    (row,) = held.faces(album, ["b"])
    assert row["embeddings_green"] == "[0,4,0]"
    assert row["embedding"].startswith("[0.1,0,0,")


def test_embeddings_that_are_not_there_yet_are_none_and_what_was_withdrawn_is_gone(album: Connection) -> None:
    write_messages(album, "generations", promoted("green", "blue"))
    write_messages(album, GREEN.name, Tombstone(GREEN, "s3"))
    assert nearest(album) == [("b", 4.0)]
    assert not reader.has_embedding(album, "c")
    with pytest.raises(CatalogueError, match="'c' was analysed with another embedder"):
        reader.similar(album, "c", 5)
    # As in a database that is filled again, before the generation's own consumer runs.
    own_vectors.drop(album, "green")
    assert not reader.has_embedding(album, "a")
    assert suggestions.candidates(album, "p", 1.1, 5)[0].distance is None


def test_they_have_a_vector_index_of_their_own_and_go_with_their_generation(album: Connection) -> None:
    table = own_vectors.table_of("green")
    assert not vector_index.tend(album, 10_000, table)
    assert vector_index.tend(album, 0, table)
    index = album.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'embeddings_green_near'").fetchall()
    assert "USING hnsw (embedding vector_l2_ops)" in str(index)
    generations.delete(album, "green", "catalogue-green")
    assert album.execute("SELECT to_regclass('embeddings_green'), to_regclass('faces_near')").fetchone() == (
        None,
        "faces_near",
    )

"""The catalogue holds the embeddings of one embedder, and goes over to another one as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from psycopg import Connection

from catalogue import reader, suggestions
from catalogue.embedder import embedder_of, use_embedder
from catalogue.errors import CatalogueError
from catalogue.writer import CONSUMER
from errors import Fatal
from schemas.base import DLIB_EMBEDDER
from schemas.faces import ScanAnalysed
from tests.builders.catalogue import analysed, assigned, face, published, write_messages
from tests.builders.decisions import named

OTHER = "net-0123456789abcdef"


def by_other(event: ScanAnalysed) -> ScanAnalysed:
    """The same analysis by another embedder, whose embeddings have 512 numbers."""
    provenance = event.provenance.model_copy(update={"embedder": OTHER})
    longer = tuple(
        face.model_copy(update={"embedding": np.resize(face.vector, 512).astype("<f4").tobytes()})
        for face in event.faces
    )
    return event.model_copy(update={"provenance": provenance, "faces": longer})


def with_embedding(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT face_id FROM faces WHERE embedding IS NOT NULL").fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def album(connection: Connection) -> Connection:
    """Two scans by dlib's embedder, and one by another."""
    write_messages(connection, "scans", *(published(name) for name in ("s1", "s2", "s3")))
    write_messages(
        connection,
        "faces",
        analysed("s1", face("a")),
        analysed("s2", face("b", [0.1])),
        by_other(analysed("s3", face("c"))),
    )
    write_messages(
        connection, "assignments", *(assigned(one, f"s{number}", "a") for number, one in enumerate("abc", 1))
    )
    return connection


def test_a_new_catalogue_is_dlibs(connection: Connection) -> None:
    assert embedder_of(connection) == DLIB_EMBEDDER
    assert not use_embedder(connection, DLIB_EMBEDDER, 128, CONSUMER, lambda: None)


def test_faces_of_another_embedder_are_there_without_an_embedding(album: Connection) -> None:
    assert with_embedding(album) == {"a", "b"}
    assert reader.counts(album).faces == 3
    assert [it.face.face_id for it in reader.similar(album, "a", 5)] == ["b"]
    with pytest.raises(CatalogueError, match="'c' was analysed with another embedder than the catalogue holds"):
        reader.similar(album, "c", 5)
    # Commands that look around a face do without it.
    assert suggestions.names_near(album, "c", 0.5) == []
    assert len(reader.faces_of_clusters(album).__iter__().__next__()) == 3


def test_candidates_are_found_where_a_named_face_has_no_embedding(album: Connection) -> None:
    write_messages(album, "labels", named(1, "c", "anna"), named(2, "a", "anna"))
    write_messages(album, "assignments", assigned("c", "s3", "c", name="anna"), assigned("a", "s1", "a", name="anna"))
    write_messages(album, "assignments", assigned("b", "s2", "b"))
    assert [it.face_id for it in suggestions.candidates(album, "anna", 0.5, 10)] == ["b"]


def test_it_goes_over_to_another_embedder_as_a_whole_and_reads_faces_again(album: Connection) -> None:
    assert use_embedder(album, OTHER, 512, CONSUMER, lambda: None)
    assert embedder_of(album) == OTHER
    assert with_embedding(album) == set()
    assert reader.counts(album).faces == 3
    assert ("faces", 0) not in reader.offsets(album, CONSUMER)
    assert ("scans", 0) in reader.offsets(album, CONSUMER)
    write_messages(
        album,
        "faces",
        analysed("s1", face("a")),
        by_other(analysed("s2", face("b"))),
        by_other(analysed("s3", face("c", [0.1]))),
    )
    assert with_embedding(album) == {"b", "c"}
    assert [it.face.face_id for it in reader.similar(album, "b", 5)] == ["c"]
    assert not use_embedder(album, OTHER, 512, CONSUMER, lambda: None)


def test_nothing_changes_where_it_may_not_go_over(album: Connection) -> None:
    def refuse() -> None:
        raise Fatal("most scans are of another")

    with pytest.raises(Fatal, match="most scans"):
        use_embedder(album, OTHER, 512, CONSUMER, refuse)
    assert embedder_of(album) == DLIB_EMBEDDER
    assert with_embedding(album) == {"a", "b"}

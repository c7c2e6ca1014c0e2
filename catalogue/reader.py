"""Queries for clusters, faces, scans and offsets. See `decisions`, `suggestions` and `dead_letters` for the others.

Faces are those of published scans: the faces of a withdrawn scan are missing as soon as its tombstone is written. A
lost connection raises psycopg.OperationalError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import LiteralString

from psycopg import Connection, sql
from psycopg.rows import TupleRow, class_row

from catalogue.errors import CatalogueError
from catalogue.own_vectors import of_live
from schemas.scans import Box, ScanPublished
from schemas.topics import Checkpoint

MOST_NEIGHBOURS = 1000
"""The most faces that one search can return: the upper limit of pgvector's hnsw.ef_search."""

# Rows fetched at a time where there may be millions.
_FETCH_SIZE = 2000

# The columns of `face_catalogue` that `_face` reads, in its order.
_FACE_COLUMNS: LiteralString = (
    "face_id, scan_id, uri, box_left, box_top, box_right, box_bottom, cluster_id, role, label_id"
)


@dataclass(frozen=True)
class Counts:
    """The number of rows of each sort. `dead_scans` are published scans with a dead letter and without an analysis."""

    scans: int = 0
    analysed: int = 0
    dead_scans: int = 0
    faces: int = 0
    clusters: int = 0
    noise: int = 0
    named: int = 0
    dead_letters: int = 0


@dataclass(frozen=True)
class Cluster:
    """A cluster: its number of faces and of scans, the hard labels in it, and one of the scans."""

    cluster_id: str
    size: int
    scans: int
    label_ids: list[str]
    example_scan_id: str


@dataclass(frozen=True)
class CatalogueFace:
    """A face of a published scan, with its assignment.

    `box` is relative to the scan. Noise has no cluster; a face without a role has not been clustered yet. `label_id` is
    the hard label.
    """

    face_id: str
    scan_id: str
    uri: str
    box: Box
    cluster_id: str | None
    role: str | None
    label_id: str | None


@dataclass(frozen=True)
class RankedFace:
    """A face with the rank (1 is the largest) and the number of faces of its cluster; both None for noise."""

    face: CatalogueFace
    rank: int | None
    size: int | None


@dataclass(frozen=True)
class SimilarFace:
    """A face and the Euclidean distance of its embedding from that of another face."""

    face: CatalogueFace
    distance: float


def counts(connection: Connection) -> Counts:
    """The number of rows of each sort; of clusters, noise and named faces, those of the live generation."""
    query = """
        SELECT name, number FROM row_counts
        WHERE generation = '' OR generation = (SELECT generation FROM live_generation)
    """
    stored = {str(name): int(number) for name, number in connection.execute(query)}
    return Counts(**{field.name: stored.get(field.name, 0) for field in fields(Counts)})


def clusters(connection: Connection, limit: int | None = None) -> list[Cluster]:
    """The clusters, or the `limit` largest: largest first, those of one size by id."""
    with connection.cursor(row_factory=class_row(Cluster)) as cursor:
        return cursor.execute(
            """
            WITH largest AS (
                SELECT cluster_id FROM face_catalogue WHERE cluster_id IS NOT NULL
                GROUP BY cluster_id ORDER BY count(*) DESC, cluster_id LIMIT %s
            )
            SELECT cluster_id, count(*) AS size, count(DISTINCT scan_id) AS scans,
                   coalesce(array_agg(DISTINCT label_id) FILTER (WHERE label_id IS NOT NULL), '{}') AS label_ids,
                   min(scan_id) AS example_scan_id
            FROM face_catalogue JOIN largest USING (cluster_id)
            GROUP BY cluster_id ORDER BY size DESC, cluster_id
            """,
            (limit,),
        ).fetchall()


def faces_of_clusters(connection: Connection, limit: int | None = None) -> Iterator[list[CatalogueFace]]:
    """The faces of each cluster, or of the `limit` largest: largest cluster first, the faces of one by id.

    Rows are read from one snapshot of the database while the caller iterates.
    """
    rows = _stream(
        connection,
        """
        WITH largest AS (
            SELECT cluster_id, count(*) AS size FROM face_catalogue WHERE cluster_id IS NOT NULL
            GROUP BY cluster_id ORDER BY size DESC, cluster_id LIMIT %s
        )
        SELECT """
        + _FACE_COLUMNS
        + """
        FROM face_catalogue JOIN largest USING (cluster_id) ORDER BY size DESC, cluster_id, face_id
        """,
        (limit,),
    )
    for _, faces_of_cluster in groupby(map(_face, rows), key=lambda face: face.cluster_id):
        yield list(faces_of_cluster)


def faces_of_cluster(
    connection: Connection, cluster_id: str, limit: int, after: str | None = None
) -> list[CatalogueFace]:
    """The first `limit` faces of a cluster by id, or those after the id `after`; empty where there is no such one."""
    query: LiteralString = (
        "SELECT "
        + _FACE_COLUMNS
        + """
        FROM face_catalogue WHERE cluster_id = %s AND face_id > %s ORDER BY face_id LIMIT %s
        """
    )
    return [_face(row) for row in connection.execute(query, (cluster_id, after or "", limit)).fetchall()]


def faces(connection: Connection, face_ids: Sequence[str]) -> list[CatalogueFace]:
    """The faces with these ids, in no particular order. Ids that are not in the catalogue are left out."""
    query: LiteralString = "SELECT " + _FACE_COLUMNS + " FROM face_catalogue WHERE face_id = ANY(%s)"
    return [_face(row) for row in connection.execute(query, (list(face_ids),)).fetchall()]


def faces_of_scans(connection: Connection) -> Iterator[list[RankedFace]]:
    """The clustered faces of each scan, noise included: scans by id, the faces of one by id.

    Rows are read from one snapshot of the database while the caller iterates.
    """
    rows = _stream(
        connection,
        """
        WITH ranked AS (
            SELECT cluster_id, count(*) AS size, row_number() OVER (ORDER BY count(*) DESC, cluster_id) AS rank
            FROM face_catalogue WHERE cluster_id IS NOT NULL GROUP BY cluster_id
        )
        SELECT """
        + _FACE_COLUMNS
        + """
        , rank, size FROM face_catalogue LEFT JOIN ranked USING (cluster_id)
        WHERE role IS NOT NULL ORDER BY scan_id, face_id
        """,
    )
    ranked_faces = (RankedFace(_face(row), *row[-2:]) for row in rows)
    for _, faces_of_scan in groupby(ranked_faces, key=lambda ranked: ranked.face.scan_id):
        yield list(faces_of_scan)


def face_id_of(connection: Connection, prefix: str) -> str:
    """The one face id that is `prefix` or begins with it. Raises CatalogueError where there is none, or several."""
    # Escape what LIKE treats specially.
    pattern = "".join(f"\\{character}" if character in "\\%_" else character for character in prefix) + "%"
    rows = connection.execute(
        "SELECT DISTINCT face_id FROM face_catalogue WHERE face_id LIKE %s ORDER BY face_id LIMIT 3", (pattern,)
    ).fetchall()
    face_ids = [str(face_id) for (face_id,) in rows]
    # A complete id sorts before the ids that it is the beginning of.
    if prefix in face_ids or len(face_ids) == 1:
        return face_ids[0]
    if not face_ids:
        raise CatalogueError(f"there is no face {prefix!r} in the catalogue")
    raise CatalogueError(
        f"{prefix!r} is the beginning of more than one face's id, {face_ids[0]} and {face_ids[1]} among them"
    )


def similar(connection: Connection, face_id: str, k: int) -> list[SimilarFace]:
    """The `k` faces nearest to this one, nearest first. `k` is MOST_NEIGHBOURS or less.

    Embeddings are those of the live generation's embedder. The search is approximate (HNSW): it may miss a face. Raises
    CatalogueError where there is no such face, and where it has no embedding of that embedder.
    """
    query: LiteralString = (
        """
        WITH near AS MATERIALIZED (
            SELECT face_id, scan_id, embedding <-> %(to)s AS distance FROM {vectors} v
            WHERE face_id <> %(face_id)s AND embedding IS NOT NULL
            ORDER BY embedding <-> %(to)s LIMIT %(k)s
        )
        SELECT """
        + _FACE_COLUMNS
        + ", distance FROM near JOIN face_catalogue USING (face_id, scan_id) ORDER BY distance, face_id"
    )
    with of_live(connection) as vectors:
        embedding = embedding_of(connection, face_id, vectors)
        if embedding is None:
            raise _of_another_embedder(face_id)
        search_widely(connection)
        values = {"to": embedding, "face_id": face_id, "k": k}
        rows = connection.execute(sql.SQL(query).format(vectors=vectors), values).fetchall()
    return [SimilarFace(_face(row), row[-1]) for row in rows]


_EMBEDDING: LiteralString = """
    SELECT v.{column} FROM faces f LEFT JOIN {vectors} v USING (face_id, scan_id) WHERE f.face_id = %s LIMIT 1
"""


def embedding_of(connection: Connection, face_id: str, vectors: sql.Composable) -> object:
    """A face's embedding as pgvector returns it, for a parameter of another query. vectors: the table that has it.

    None where there is none of the embedder. Raises CatalogueError where there is no such face.
    """
    query = sql.SQL(_EMBEDDING).format(vectors=vectors, column=sql.SQL("embedding"))
    row = connection.execute(query, (face_id,)).fetchone()
    if row is None:
        raise CatalogueError(f"there is no face {face_id!r} in the catalogue")
    return row[0]


def has_embedding(connection: Connection, face_id: str) -> bool:
    """Whether the catalogue has an embedding of a face by the live generation's embedder."""
    query = sql.SQL("SELECT FROM {vectors} v WHERE face_id = %s AND embedding IS NOT NULL LIMIT 1")
    with of_live(connection) as vectors:
        return connection.execute(query.format(vectors=vectors), (face_id,)).fetchone() is not None


def vector_of(connection: Connection, face_id: str) -> bytes:
    """The embedding of a face as it was made: little-endian float32. Raises CatalogueError."""
    # Imported here: most commands that read the catalogue use no vectors, and numpy takes 70 ms.
    import numpy as np

    with of_live(connection) as vectors:
        query = sql.SQL(_EMBEDDING).format(vectors=vectors, column=sql.SQL("embedding::real[]"))
        row = connection.execute(query, (face_id,)).fetchone()
    if row is None:
        raise CatalogueError(f"there is no face {face_id!r} in the catalogue")
    if row[0] is None:
        raise _of_another_embedder(face_id)
    return np.array(row[0], dtype="<f4").tobytes()


def _of_another_embedder(face_id: str) -> CatalogueError:
    return CatalogueError(
        f"face {face_id!r} was analysed with another embedder than the catalogue holds embeddings of: have its "
        "scan analysed again, facestream reanalyse"
    )


def search_widely(connection: Connection) -> None:
    """Have pgvector keep as many candidates as it can until the end of the transaction, which has to be open.

    The index has few links per face, so that insertion is fast. More candidates compensate for that.
    """
    connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(MOST_NEIGHBOURS),))
    connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")


def scan(connection: Connection, scan_id: str) -> ScanPublished | None:
    """A scan as it was published, but without kept faces; None where there is none of this id."""
    with connection.cursor(row_factory=class_row(ScanPublished)) as cursor:
        return cursor.execute(
            "SELECT scan_id, uri, sha256, media_type, collection, page, metadata, published_at FROM scans "
            "WHERE scan_id = %s",
            (scan_id,),
        ).fetchone()


def current_cluster(connection: Connection, cluster_id: str) -> str | None:
    """The cluster that continues this one: itself while it exists, None where it was removed or is unknown."""
    row = connection.execute("SELECT current_cluster(%s)", (cluster_id,)).fetchone()
    return row[0] if row else None


def has_decisions(connection: Connection) -> bool:
    """Whether there is any decision of an archivist."""
    ((found,),) = connection.execute("SELECT EXISTS (SELECT FROM decisions)")
    return bool(found)


def offsets(connection: Connection, consumer: str) -> dict[tuple[str, int], int]:
    """The offsets that a consumer has to read next, by topic and partition."""
    return {partition: checkpoint.offset for partition, checkpoint in checkpoints(connection, consumer).items()}


def checkpoints(connection: Connection, consumer: str) -> dict[tuple[str, int], Checkpoint]:
    """The same, with what is stored beside them."""
    rows = connection.execute(
        """
        SELECT topic, partition, next_offset, coalesce(topic_id, ''), coalesce(leader_epoch, -1)
        FROM offsets WHERE consumer = %s
        """,
        (consumer,),
    )
    return {(topic, partition): Checkpoint(*checkpoint) for topic, partition, *checkpoint in rows}


def _stream(connection: Connection, query: LiteralString, parameters: tuple[object, ...] = ()) -> Iterator[TupleRow]:
    """Rows, fetched in portions from one snapshot of the database. Other queries may run meanwhile."""
    with connection.transaction(), connection.cursor(name="rows") as cursor:
        cursor.itersize = _FETCH_SIZE
        yield from cursor.execute(query, parameters)


def _face(row: TupleRow) -> CatalogueFace:
    face_id, scan_id, uri, left, top, right, bottom, *assignment = row[:10]
    return CatalogueFace(face_id, scan_id, uri, Box(left=left, top=top, right=right, bottom=bottom), *assignment)

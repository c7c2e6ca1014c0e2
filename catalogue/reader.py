"""What can be asked of the catalogue. Faces are those of published scans: one that was withdrawn is out at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import TupleRow, class_row

from catalogue.errors import CatalogueError
from schemas.scans import Box, ScanPublished

MOST_NEIGHBOURS = 1000
"""As many as pgvector looks for in one go (its hnsw.ef_search)."""

# Rows fetched at a time where there may be millions.
_AT_ONCE = 2000

_FACE: LiteralString = "face_id, scan_id, uri, box_left, box_top, box_right, box_bottom, cluster_id, role, label_id"


@dataclass(frozen=True)
class Counts:
    """How much there is. `dead_scans` are published scans that became dead letters and have no analysis."""

    scans: int
    analysed: int
    dead_scans: int
    faces: int
    clusters: int
    noise: int
    named: int
    dead_letters: int


@dataclass(frozen=True)
class Cluster:
    """A cluster: faces, scans that they are on, the names that people gave in it, and one of the scans."""

    cluster_id: str
    size: int
    scans: int
    label_ids: list[str]
    example_scan_id: str


@dataclass(frozen=True)
class CatalogueFace:
    """A face, its scan, and where it belongs. Noise has no cluster; without a role, that is not known yet."""

    face_id: str
    scan_id: str
    uri: str
    box: Box
    cluster_id: str | None
    role: str | None
    label_id: str | None


@dataclass(frozen=True)
class RankedFace:
    """A face with its cluster's rank (the largest has 1) and size; both None for noise."""

    face: CatalogueFace
    rank: int | None
    size: int | None


@dataclass(frozen=True)
class SimilarFace:
    """A face and its Euclidean distance from the one asked for."""

    face: CatalogueFace
    distance: float


@dataclass(frozen=True)
class NotedDeadLetter:
    """A record that was given up: where it stood, by which consumer, why and when."""

    topic: str
    partition: int
    offset: int
    consumer: str
    key: str | None
    reason: str
    time: datetime


def counts(connection: Connection) -> Counts:
    """How much there is of everything, at one moment."""
    with connection.cursor(row_factory=class_row(Counts)) as cursor:
        (counted,) = cursor.execute("""
            SELECT
                (SELECT count(*) FROM scans) AS scans,
                (SELECT count(*) FROM scans JOIN analyses USING (scan_id)) AS analysed,
                (SELECT count(*) FROM scans s
                 WHERE EXISTS (SELECT FROM dead_letters d WHERE d.topic = 'scans' AND d.key = s.scan_id)
                 AND NOT EXISTS (SELECT FROM analyses a WHERE a.scan_id = s.scan_id)) AS dead_scans,
                (SELECT count(*) FROM faces) AS faces,
                (SELECT count(*) FROM (SELECT DISTINCT cluster_id FROM assignments
                                       WHERE cluster_id IS NOT NULL) c) AS clusters,
                (SELECT count(*) FROM assignments WHERE role = 'noise') AS noise,
                (SELECT count(*) FROM assignments WHERE hard_label IS NOT NULL) AS named,
                (SELECT count(*) FROM dead_letters) AS dead_letters
        """).fetchall()
    return counted


def clusters(connection: Connection, limit: int | None = None) -> list[Cluster]:
    """The clusters, the largest first, of one size by id."""
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
    """The faces of each cluster in the order of their ids, the largest cluster first."""
    found = _stream(
        connection,
        """
        WITH largest AS (
            SELECT cluster_id, count(*) AS size FROM face_catalogue WHERE cluster_id IS NOT NULL
            GROUP BY cluster_id ORDER BY size DESC, cluster_id LIMIT %s
        )
        SELECT """
        + _FACE
        + """
        FROM face_catalogue JOIN largest USING (cluster_id) ORDER BY size DESC, cluster_id, face_id
        """,
        (limit,),
    )
    for _, rows in groupby(map(_face, found), key=lambda face: face.cluster_id):
        yield list(rows)


def faces(connection: Connection, face_ids: Sequence[str]) -> list[CatalogueFace]:
    """These faces, in no particular order; those that are not in the catalogue are left out."""
    query: LiteralString = "SELECT " + _FACE + " FROM face_catalogue WHERE face_id = ANY(%s)"
    return [_face(row) for row in connection.execute(query, (list(face_ids),)).fetchall()]


def faces_of_scans(connection: Connection) -> Iterator[list[RankedFace]]:
    """The faces of each scan that have been clustered, scan by scan; noise among them."""
    found = _stream(
        connection,
        """
        WITH ranked AS (
            SELECT cluster_id, count(*) AS size, row_number() OVER (ORDER BY count(*) DESC, cluster_id) AS rank
            FROM face_catalogue WHERE cluster_id IS NOT NULL GROUP BY cluster_id
        )
        SELECT """
        + _FACE
        + """
        , rank, size FROM face_catalogue LEFT JOIN ranked USING (cluster_id)
        WHERE role IS NOT NULL ORDER BY scan_id, face_id
        """,
    )
    ranked = (RankedFace(_face(row), *row[-2:]) for row in found)
    for _, rows in groupby(ranked, key=lambda it: it.face.scan_id):
        yield list(rows)


def face_id_of(connection: Connection, prefix: str) -> str:
    """The one face whose id is this or begins with this. Raises CatalogueError where there is none or more than one."""
    pattern = "".join(f"\\{character}" if character in "\\%_" else character for character in prefix) + "%"
    rows = connection.execute(
        "SELECT DISTINCT face_id FROM face_catalogue WHERE face_id LIKE %s ORDER BY face_id LIMIT 3", (pattern,)
    ).fetchall()
    found = [face_id for (face_id,) in rows]
    if prefix in found or len(found) == 1:
        return str(found[0])
    if not found:
        raise CatalogueError(f"there is no face {prefix!r} in the catalogue")
    raise CatalogueError(
        f"{prefix!r} is the beginning of more than one face's id, {found[0]} and {found[1]} among them"
    )


def similar(connection: Connection, face_id: str, k: int) -> list[SimilarFace]:
    """The `k` faces nearest to this one (HNSW, so now and then one is missed), the nearest first. k <= MOST_NEIGHBOURS.

    Raises CatalogueError where there is no such face.
    """
    with connection.transaction():
        embedding = embedding_of(connection, face_id)
        search_widely(connection)
        rows = connection.execute(
            """
            WITH near AS MATERIALIZED (
                SELECT face_id, scan_id, embedding <-> %(to)s AS distance FROM faces WHERE face_id <> %(face_id)s
                ORDER BY embedding <-> %(to)s LIMIT %(k)s
            )
            SELECT """
            + _FACE
            + ", distance FROM near JOIN face_catalogue USING (face_id, scan_id) ORDER BY distance, face_id",
            {"to": embedding, "face_id": face_id, "k": k},
        ).fetchall()
    return [SimilarFace(_face(row), row[-1]) for row in rows]


def embedding_of(connection: Connection, face_id: str) -> object:
    """A face's embedding, to be given back to pgvector. Raises CatalogueError where there is no such face."""
    row = connection.execute("SELECT embedding FROM faces WHERE face_id = %s LIMIT 1", (face_id,)).fetchone()
    if row is None:
        raise CatalogueError(f"there is no face {face_id!r} in the catalogue")
    return row[0]


def search_widely(connection: Connection) -> None:
    """Within a transaction: pgvector looks for up to MOST_NEIGHBOURS faces, with all its effort.

    The index has few links a face, so that insertion is quick; the search makes up for it.
    """
    connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(MOST_NEIGHBOURS),))
    connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")


def scan(connection: Connection, scan_id: str) -> ScanPublished | None:
    """A scan as it was published, without the faces to keep."""
    with connection.cursor(row_factory=class_row(ScanPublished)) as cursor:
        return cursor.execute("SELECT * FROM scans WHERE scan_id = %s", (scan_id,)).fetchone()


def current_cluster(connection: Connection, cluster_id: str) -> str | None:
    """The id under which a cluster goes on, its own while it lives; None when it is gone or was never heard of."""
    row = connection.execute("SELECT current_cluster(%s)", (cluster_id,)).fetchone()
    return row[0] if row else None


def dead_letters(connection: Connection, limit: int | None = None) -> list[NotedDeadLetter]:
    """What was given up, the latest first."""
    with connection.cursor(row_factory=class_row(NotedDeadLetter)) as cursor:
        return cursor.execute(
            """
            SELECT topic, partition, "offset", consumer, key, reason, "time" FROM dead_letters
            ORDER BY "time" DESC, topic, partition, "offset" DESC LIMIT %s
            """,
            (limit,),
        ).fetchall()


def offsets(connection: Connection, consumer: str) -> dict[tuple[str, int], int]:
    """The next record to read of each (topic, partition) of this consumer."""
    rows = connection.execute("SELECT topic, partition, next_offset FROM offsets WHERE consumer = %s", (consumer,))
    return {(topic, partition): offset for topic, partition, offset in rows}


def _stream(connection: Connection, query: LiteralString, parameters: tuple[object, ...] = ()) -> Iterator[TupleRow]:
    """Rows as they are asked for, from one moment of the database. Other queries may be made in between."""
    with connection.transaction(), connection.cursor(name="rows") as cursor:
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(query, parameters)


def _face(row: TupleRow) -> CatalogueFace:
    face_id, scan_id, uri, left, top, right, bottom, *belongs = row[:10]
    return CatalogueFace(face_id, scan_id, uri, Box(left=left, top=top, right=right, bottom=bottom), *belongs)

"""Queries for looking through the archive: clusters and people with a few of their faces, and faces in portions.

Hard labels are those of the tables, which follow decisions by a moment. A lost connection raises
psycopg.OperationalError.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row

from catalogue.own_vectors import of_live
from schemas.scans import Box

# A part of an id that is shorter is not in the index.
_TRIGRAM = 3

ClusterFilter = Literal["all", "unnamed", "named", "mixed"]
ClusterOrder = Literal["largest", "smallest", "least-named"]


@dataclass(frozen=True)
class Tile:
    """A face as a list shows it. `label_id` is the hard label, `soft_label` the suggested one with its probability."""

    face_id: str
    scan_id: str
    cluster_id: str | None
    role: str | None
    label_id: str | None
    soft_label: str | None
    probability: float | None
    collection: str


@dataclass(frozen=True)
class ListedCluster:
    """A cluster: its number of faces, how many have a hard label, those labels, and a few of its faces."""

    cluster_id: str
    size: int
    named: int
    label_ids: list[str]
    face_ids: list[str]


@dataclass(frozen=True)
class Members:
    """What a cluster consists of now: its number of faces, and a text that differs where the faces do."""

    size: int
    digest: str


@dataclass(frozen=True)
class LabelCounts:
    """How many faces have a label as hard and as soft label, and one of the former; None where there is none."""

    label_id: str
    hard: int
    soft: int
    face_id: str | None


@dataclass(frozen=True)
class ListedScan:
    """A scan, its collection and metadata, and the number of its faces."""

    scan_id: str
    collection: str
    metadata: dict[str, str]
    faces: int


_TILE: LiteralString = "face_id, scan_id, cluster_id, role, label_id, soft_label, probability, collection"

_FILTERS: dict[ClusterFilter, LiteralString] = {
    "all": "",
    "unnamed": "WHERE named = 0",
    "named": "WHERE named > 0",
    "mixed": "WHERE cluster_id IN (SELECT cluster_id FROM cluster_labels GROUP BY cluster_id HAVING count(*) > 1)",
}
_ORDERS: dict[ClusterOrder, LiteralString] = {
    "largest": "size DESC, cluster_id",
    "smallest": "size, cluster_id",
    "least-named": "size - named DESC, cluster_id",
}


def clusters(
    connection: Connection, which: ClusterFilter, order: ClusterOrder, limit: int, offset: int, examples: int
) -> list[ListedCluster]:
    """A portion of the clusters, those of one rank by id, each with so many of its faces as examples."""
    query: LiteralString = (
        """
        WITH listed AS MATERIALIZED (
            SELECT cluster_id, size, named FROM cluster_totals """
        + _FILTERS[which]
        + " ORDER BY "
        + _ORDERS[order]
        + """ LIMIT %(limit)s OFFSET %(offset)s
        )
        SELECT cluster_id, size, named,
               ARRAY(SELECT label_id FROM cluster_labels l WHERE l.cluster_id = listed.cluster_id ORDER BY label_id)
               AS label_ids,
               ARRAY(SELECT face_id FROM assignments a WHERE a.cluster_id = listed.cluster_id
                     ORDER BY face_id LIMIT %(examples)s) AS face_ids
        FROM listed ORDER BY """
        + _ORDERS[order]
    )
    with connection.cursor(row_factory=class_row(ListedCluster)) as cursor:
        return cursor.execute(query, {"limit": limit, "offset": offset, "examples": examples}).fetchall()


def faces_of_cluster(connection: Connection, cluster_id: str, limit: int, offset: int = 0) -> list[Tile]:
    """A portion of the faces of a cluster, the most typical first: those nearest to the mean of all its embeddings."""
    query: LiteralString = (
        "WITH members AS MATERIALIZED (SELECT "
        + _TILE
        + """ FROM face_catalogue WHERE cluster_id = %(cluster_id)s),
        with_embedding AS MATERIALIZED (
            SELECT m.*, f.embedding FROM members m LEFT JOIN {vectors} f USING (face_id, scan_id)
        )
        SELECT """
        + _TILE
        + """
        FROM with_embedding ORDER BY embedding <-> (SELECT avg(embedding) FROM with_embedding), face_id
        LIMIT %(limit)s OFFSET %(offset)s
        """
    )
    values = {"cluster_id": cluster_id, "limit": limit, "offset": offset}
    with of_live(connection) as vectors, connection.cursor(row_factory=class_row(Tile)) as cursor:
        return cursor.execute(sql.SQL(query).format(vectors=vectors), values).fetchall()


def members(connection: Connection, cluster_id: str) -> Members:
    """How many faces a cluster has, and which, as a digest of their ids."""
    row = connection.execute(
        "SELECT size, digest::text FROM cluster_totals WHERE cluster_id = %s", (cluster_id,)
    ).fetchone()
    return Members(*row) if row else Members(0, "")


def labels_of_cluster(connection: Connection, cluster_id: str) -> dict[str, int]:
    """The hard labels in a cluster, each with the number of its faces, most faces first."""
    rows = connection.execute(
        "SELECT label_id, faces FROM cluster_labels WHERE cluster_id = %s ORDER BY faces DESC, label_id", (cluster_id,)
    ).fetchall()
    return dict(rows)


def unnamed_others(connection: Connection, cluster_id: str, face_id: str) -> int:
    """How many other faces of a cluster have no hard label and no soft label that settles them."""
    row = connection.execute(
        """
        SELECT unsettled - (SELECT count(*) FROM assignments a WHERE a.face_id = %s AND a.cluster_id = t.cluster_id
                            AND uncertainty_of(hard_label, probability) > 0)
        FROM cluster_totals t WHERE cluster_id = %s
        """,
        (face_id, cluster_id),
    ).fetchone()
    return int(row[0]) if row else 0


def faces_of_person(connection: Connection, label_id: str, limit: int, offset: int = 0) -> list[Tile]:
    """A portion of the faces with this hard label, by scan."""
    return _tiles(connection, "label_id = %s ORDER BY scan_id, face_id LIMIT %s OFFSET %s", (label_id, limit, offset))


def count_of_person(connection: Connection, label_id: str) -> int:
    """How many faces have this hard label."""
    row = connection.execute("SELECT hard FROM label_totals WHERE label_id = %s", (label_id,)).fetchone()
    return int(row[0]) if row else 0


def faces_of_scan(connection: Connection, scan_id: str) -> list[tuple[Tile, Box]]:
    """The faces of a scan with their boxes, from left to right."""
    query: LiteralString = (
        "SELECT box_left, box_top, box_right, box_bottom, "
        + _TILE
        + " FROM face_catalogue WHERE scan_id = %s ORDER BY box_left, face_id"
    )
    rows = connection.execute(query, (scan_id,)).fetchall()
    return [
        (Tile(*tile), Box(left=left, top=top, right=right, bottom=bottom)) for left, top, right, bottom, *tile in rows
    ]


def noise(connection: Connection, limit: int, offset: int = 0) -> list[Tile]:
    """A portion of the faces that are in no cluster, by scan."""
    return _tiles(connection, "role = 'noise' ORDER BY scan_id, face_id LIMIT %s OFFSET %s", (limit, offset))


def count_of_noise(connection: Connection) -> int:
    """How many faces are in no cluster."""
    row = connection.execute("SELECT count(*) FROM assignments WHERE role = 'noise'").fetchone()
    return int(row[0]) if row else 0


def tiles(connection: Connection, face_ids: Sequence[str]) -> dict[str, Tile]:
    """The faces of these ids that are in the catalogue, by id."""
    return {tile.face_id: tile for tile in _tiles(connection, "face_id = ANY(%s)", (list(face_ids),))}


def label_counts(connection: Connection, label_ids: Collection[str]) -> list[LabelCounts]:
    """How many faces have each of these labels, in no particular order. Labels that no face has are left out."""
    with connection.cursor(row_factory=class_row(LabelCounts)) as cursor:
        return cursor.execute(
            """
            SELECT label_id, hard, soft,
                   (SELECT face_id FROM assignments WHERE hard_label = label_id
                    ORDER BY scan_id, face_id LIMIT 1) AS face_id
            FROM label_totals WHERE label_id = ANY(%s)
            """,
            (list(label_ids),),
        ).fetchall()


def collections(connection: Connection, limit: int) -> list[tuple[str, int]]:
    """The collections with the number of their scans, the largest first."""
    rows = connection.execute(
        "SELECT collection, count(*) FROM scans GROUP BY collection ORDER BY count(*) DESC, collection LIMIT %s",
        (limit,),
    ).fetchall()
    return [(collection, count) for collection, count in rows]


def scans(
    connection: Connection, text: str | None, collection: str | None, year: str | None, limit: int
) -> list[ListedScan]:
    """Scans by id: those whose id contains `text`, of a collection, and with a year in a value of their metadata.

    Each of the three may be None. The text is compared without regard to case. A year is a word of four digits.
    """
    wanted: list[LiteralString] = ["true"]
    if text is not None:
        wanted.append("strpos(lower(scan_id), lower(%(text)s)) > 0")
        if len(text) >= _TRIGRAM:
            wanted.append("trigrams(lower(scan_id)) @> trigrams(lower(%(text)s))")
    if collection is not None:
        wanted.append("collection = %(collection)s")
    if year is not None:
        wanted.append("years @> ARRAY[%(year)s]")
    query: LiteralString = (
        """
        SELECT scan_id, collection, metadata, (SELECT count(*) FROM faces f WHERE f.scan_id = s.scan_id) AS faces
        FROM scans s WHERE """
        + " AND ".join(wanted)
        + " ORDER BY scan_id LIMIT %(limit)s"
    )
    with connection.cursor(row_factory=class_row(ListedScan)) as cursor:
        return cursor.execute(query, {"text": text, "collection": collection, "year": year, "limit": limit}).fetchall()


def scan_size(connection: Connection, scan_id: str) -> tuple[int, int] | None:
    """Width and height of a scan in pixels; None where it was not analysed."""
    row = connection.execute("SELECT width, height FROM analyses WHERE scan_id = %s", (scan_id,)).fetchone()
    return (row[0], row[1]) if row else None


def _tiles(connection: Connection, where: LiteralString, parameters: tuple[object, ...]) -> list[Tile]:
    query: LiteralString = "SELECT " + _TILE + " FROM face_catalogue WHERE " + where
    with connection.cursor(row_factory=class_row(Tile)) as cursor:
        return cursor.execute(query, parameters).fetchall()

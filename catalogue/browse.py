"""Queries for looking through the archive: clusters and people with a few of their faces, and faces in portions.

Hard labels are those of the tables, which follow decisions by a moment. A lost connection raises
psycopg.OperationalError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

from catalogue.suggestions import SETTLED
from schemas.scans import Box

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
    """How many faces have a label as hard and as soft label, and one of the former, or else of the latter."""

    label_id: str
    hard: int
    soft: int
    face_id: str


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
    "unnamed": "HAVING count(hard_label) = 0",
    "named": "HAVING count(hard_label) > 0",
    "mixed": "HAVING count(DISTINCT hard_label) > 1",
}
_ORDERS: dict[ClusterOrder, LiteralString] = {
    "largest": "size DESC",
    "smallest": "size",
    "least-named": "count(*) - count(hard_label) DESC",
}


def clusters(
    connection: Connection, which: ClusterFilter, order: ClusterOrder, limit: int, offset: int, examples: int
) -> list[ListedCluster]:
    """A portion of the clusters, those of one rank by id, each with so many of its faces as examples."""
    query: LiteralString = (
        """
        WITH listed AS (
            SELECT cluster_id, count(*) AS size, count(hard_label) AS named,
                   coalesce(array_agg(DISTINCT hard_label) FILTER (WHERE hard_label IS NOT NULL), '{}') AS label_ids,
                   row_number() OVER (ORDER BY """
        + _ORDERS[order].replace("size", "count(*)")
        + """, cluster_id) AS rank
            FROM assignments WHERE cluster_id IS NOT NULL GROUP BY cluster_id """
        + _FILTERS[which]
        + """
            ORDER BY rank LIMIT %(limit)s OFFSET %(offset)s
        )
        SELECT cluster_id, size, named, label_ids, example.face_ids
        FROM listed CROSS JOIN LATERAL (
            SELECT array_agg(face_id) AS face_ids FROM (
                SELECT face_id FROM assignments a WHERE a.cluster_id = listed.cluster_id
                ORDER BY face_id LIMIT %(examples)s) few
        ) example
        ORDER BY rank
        """
    )
    with connection.cursor(row_factory=class_row(ListedCluster)) as cursor:
        return cursor.execute(query, {"limit": limit, "offset": offset, "examples": examples}).fetchall()


def faces_of_cluster(connection: Connection, cluster_id: str, limit: int, offset: int = 0) -> list[Tile]:
    """A portion of the faces of a cluster, the most typical first: those nearest to the mean of all its embeddings."""
    query: LiteralString = (
        "WITH members AS MATERIALIZED (SELECT "
        + _TILE
        + """ FROM face_catalogue WHERE cluster_id = %(cluster_id)s),
        with_embedding AS MATERIALIZED (SELECT m.*, f.embedding FROM members m JOIN faces f USING (face_id, scan_id)),
        middle AS (SELECT avg(embedding) AS mean FROM with_embedding)
        SELECT """
        + _TILE
        + " FROM with_embedding, middle ORDER BY embedding <-> mean, face_id LIMIT %(limit)s OFFSET %(offset)s"
    )
    with connection.cursor(row_factory=class_row(Tile)) as cursor:
        return cursor.execute(query, {"cluster_id": cluster_id, "limit": limit, "offset": offset}).fetchall()


def members(connection: Connection, cluster_id: str) -> Members:
    """How many faces a cluster has, and which, as a digest of their ids."""
    row = connection.execute(
        "SELECT count(*), coalesce(md5(string_agg(face_id, ' ' ORDER BY face_id)), '') FROM assignments "
        "WHERE cluster_id = %s",
        (cluster_id,),
    ).fetchone()
    return Members(*row) if row else Members(0, "")


def labels_of_cluster(connection: Connection, cluster_id: str) -> dict[str, int]:
    """The hard labels in a cluster, each with the number of its faces, most faces first."""
    rows = connection.execute(
        "SELECT hard_label, count(*) FROM assignments WHERE cluster_id = %s AND hard_label IS NOT NULL "
        "GROUP BY hard_label ORDER BY count(*) DESC, hard_label",
        (cluster_id,),
    ).fetchall()
    return dict(rows)


def unnamed_others(connection: Connection, cluster_id: str, face_id: str) -> int:
    """How many other faces of a cluster have no hard label and no soft label as probable as SETTLED."""
    row = connection.execute(
        "SELECT count(*) FROM assignments WHERE cluster_id = %s AND face_id <> %s AND hard_label IS NULL "
        "AND coalesce(probability, 0) < %s",
        (cluster_id, face_id, SETTLED),
    ).fetchone()
    return int(row[0]) if row else 0


def faces_of_person(connection: Connection, label_id: str, limit: int, offset: int = 0) -> list[Tile]:
    """A portion of the faces with this hard label, by scan."""
    return _tiles(connection, "label_id = %s ORDER BY scan_id, face_id LIMIT %s OFFSET %s", (label_id, limit, offset))


def count_of_person(connection: Connection, label_id: str) -> int:
    """How many faces have this hard label."""
    row = connection.execute("SELECT count(*) FROM assignments WHERE hard_label = %s", (label_id,)).fetchone()
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


def tiles(connection: Connection, face_ids: Sequence[str]) -> dict[str, Tile]:
    """The faces of these ids that are in the catalogue, by id."""
    return {tile.face_id: tile for tile in _tiles(connection, "face_id = ANY(%s)", (list(face_ids),))}


def label_counts(connection: Connection) -> list[LabelCounts]:
    """How many faces have each label, in no particular order."""
    with connection.cursor(row_factory=class_row(LabelCounts)) as cursor:
        return cursor.execute(
            """
            SELECT label_id, sum(hard)::bigint AS hard, sum(soft)::bigint AS soft,
                   coalesce(min(face_id) FILTER (WHERE hard > 0), min(face_id)) AS face_id
            FROM (
                SELECT hard_label AS label_id, count(*) AS hard, 0 AS soft, min(face_id) AS face_id
                FROM assignments WHERE hard_label IS NOT NULL GROUP BY 1
                UNION ALL
                SELECT soft_label, 0, count(*), min(face_id)
                FROM assignments WHERE soft_label IS NOT NULL AND hard_label IS NULL GROUP BY 1
            ) counted
            GROUP BY label_id
            """
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
    with connection.cursor(row_factory=class_row(ListedScan)) as cursor:
        return cursor.execute(
            """
            SELECT scan_id, collection, metadata,
                   (SELECT count(*) FROM faces f WHERE f.scan_id = s.scan_id) AS faces
            FROM scans s
            WHERE (%(text)s::text IS NULL OR strpos(lower(scan_id), lower(%(text)s)) > 0)
            AND (%(collection)s::text IS NULL OR collection = %(collection)s)
            AND (%(year)s::text IS NULL OR EXISTS (
                SELECT FROM jsonb_each_text(metadata) WHERE value ~ ('\\m' || %(year)s || '\\M')))
            ORDER BY scan_id LIMIT %(limit)s
            """,
            {"text": text, "collection": collection, "year": year, "limit": limit},
        ).fetchall()


def scan_size(connection: Connection, scan_id: str) -> tuple[int, int] | None:
    """Width and height of a scan in pixels; None where it was not analysed."""
    row = connection.execute("SELECT width, height FROM analyses WHERE scan_id = %s", (scan_id,)).fetchone()
    return (row[0], row[1]) if row else None


def _tiles(connection: Connection, where: LiteralString, parameters: tuple[object, ...]) -> list[Tile]:
    query: LiteralString = "SELECT " + _TILE + " FROM face_catalogue WHERE " + where
    with connection.cursor(row_factory=class_row(Tile)) as cursor:
        return cursor.execute(query, parameters).fetchall()

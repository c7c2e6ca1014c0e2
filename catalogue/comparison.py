"""Queries about two generations at once, each of which sees one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import Connection

from schemas.scans import Box


@dataclass(frozen=True)
class Place:
    """Where a face is: on which scan, at which box, relative to it."""

    face_id: str
    scan_id: str
    box: Box


Cell = tuple[str | None, str | None, int, str]
"""A cluster of one generation and one of another, None for noise; how many faces are in both; the id of one of them."""


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """All queries of this context see the tables as they are at the first one."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def cells(connection: Connection, one: str, other: str) -> list[Cell]:
    """All pairs of clusters of the generations `one` and `other` that share faces. Cost: the faces of both, sorted."""
    return connection.execute(
        """
        SELECT a.cluster_id, b.cluster_id, count(*), min(a.face_id)
        FROM all_assignments a JOIN all_assignments b ON b.face_id = a.face_id AND b.generation = %s
        WHERE a.generation = %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
        """,
        (other, one),
    ).fetchall()


def in_one_alone(connection: Connection, one: str, other: str) -> int:
    """How many faces of the generation `one` are not in `other`: it has not come to them yet, or begins later."""
    ((number,),) = connection.execute(
        """
        SELECT count(*) FROM all_assignments a WHERE a.generation = %s AND NOT EXISTS (
            SELECT FROM all_assignments b WHERE b.generation = %s AND b.face_id = a.face_id)
        """,
        (one, other),
    )
    return int(number)


def people_affected(connection: Connection, one: str, other: str) -> list[str]:
    """The people who have other faces in one generation than in the other, by a decision or as the likeliest name."""
    rows = connection.execute(
        """
        WITH of_one AS (
            SELECT face_id, coalesce(hard_label, soft_label) AS label_id FROM all_assignments
            WHERE generation = %(one)s AND (hard_label IS NOT NULL OR soft_label IS NOT NULL)
        ), of_other AS (
            SELECT face_id, coalesce(hard_label, soft_label) AS label_id FROM all_assignments
            WHERE generation = %(other)s AND (hard_label IS NOT NULL OR soft_label IS NOT NULL)
        )
        SELECT DISTINCT coalesce(l.name, d.label_id) FROM (
            (SELECT * FROM of_one EXCEPT SELECT * FROM of_other)
            UNION (SELECT * FROM of_other EXCEPT SELECT * FROM of_one)
        ) d LEFT JOIN known_labels l USING (label_id)
        WHERE EXISTS (SELECT FROM all_assignments a WHERE a.generation = %(one)s AND a.face_id = d.face_id)
        AND EXISTS (SELECT FROM all_assignments a WHERE a.generation = %(other)s AND a.face_id = d.face_id)
        ORDER BY 1
        """,
        {"one": one, "other": other},
    )
    return [str(name) for (name,) in rows]


def has_pairs(connection: Connection) -> bool:
    """Whether there is a link or a separation that holds."""
    ((there,),) = connection.execute("SELECT EXISTS (SELECT FROM pairs)")
    return bool(there)


def scan_places(connection: Connection, face_ids: Collection[str]) -> Mapping[str, Place]:
    """Where these faces are, by face id, as far as the catalogue knows."""
    rows = connection.execute(
        "SELECT face_id, scan_id, box_left, box_top, box_right, box_bottom FROM faces WHERE face_id = ANY(%s)",
        (list(face_ids),),
    )
    return {
        face_id: Place(face_id, scan_id, Box(left=left, top=top, right=right, bottom=bottom))
        for face_id, scan_id, left, top, right, bottom in rows
    }


def sizes(connection: Connection, generation: str) -> dict[str, int]:
    """The number of faces of each cluster of a generation, by its id."""
    return dict(
        connection.execute(
            "SELECT cluster_id, size FROM all_cluster_totals WHERE generation = %s", (generation,)
        ).fetchall()
    )


def superseded(connection: Connection, generation: str) -> list[tuple[str, str]]:
    """The ids of clusters that a generation had once, each with the cluster that continues it now."""
    return connection.execute(
        """
        WITH RECURSIVE latest AS (
            SELECT DISTINCT ON (cluster_id) cluster_id, change, successor FROM all_cluster_changes
            WHERE generation = %s ORDER BY cluster_id, "offset" DESC
        ), path(origin, cluster_id, change, successor) AS (
            SELECT cluster_id, cluster_id, change, successor FROM latest WHERE successor IS NOT NULL
            UNION
            SELECT p.origin, l.cluster_id, l.change, l.successor FROM path p JOIN latest l ON l.cluster_id = p.successor
            WHERE p.successor IS NOT NULL
        )
        SELECT origin, cluster_id FROM path WHERE successor IS NULL AND change <> 'retired' ORDER BY origin
        """,
        (generation,),
    ).fetchall()

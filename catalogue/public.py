"""What anyone may see: scans of the released collections, and the confirmed names on them.

A name is confirmed where an archivist has decided it (a hard label). Nothing here reads embeddings, suggestions,
clusters, authors or notes. `collections` are the released ones. A lost connection raises psycopg.OperationalError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import TupleRow, class_row

from schemas.scans import Box

# The faces of released collections with a label that was decided.
_LABELLED: LiteralString = """
    FROM faces f
    JOIN scans s ON s.scan_id = f.scan_id AND s.collection = ANY(%(collections)s)
    JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id AND a.hard_label IS NOT NULL
"""
_FACE: LiteralString = """
    SELECT f.face_id, f.scan_id, s.collection, s.page, f.box_left, f.box_top, f.box_right, f.box_bottom, a.hard_label
"""


@dataclass(frozen=True)
class PublicPerson:
    """A person with their number of confirmed faces in released collections."""

    label_id: str
    name: str
    authority: str | None
    faces: int


@dataclass(frozen=True)
class PublicFace:
    """A face with its confirmed name. The box is relative to the scan."""

    face_id: str
    scan_id: str
    collection: str
    page: int | None
    box: Box
    label_id: str
    name: str


def people(connection: Connection, collections: Sequence[str], limit: int, offset: int = 0) -> list[PublicPerson]:
    """People with confirmed faces, by name."""
    query: LiteralString = (
        "SELECT n.label_id, n.name, n.authority, count(*) AS faces"
        + _LABELLED
        + """
        JOIN names n ON n.label_id = a.hard_label
        GROUP BY n.label_id, n.name, n.authority ORDER BY n.name, n.label_id LIMIT %(limit)s OFFSET %(offset)s
        """
    )
    with connection.cursor(row_factory=class_row(PublicPerson)) as cursor:
        parameters = {"collections": list(collections), "limit": limit, "offset": offset}
        return cursor.execute(query, parameters).fetchall()


def faces_of(
    connection: Connection, collections: Sequence[str], label_id: str, limit: int, offset: int = 0
) -> list[PublicFace]:
    """A person's confirmed faces, by scan."""
    query: LiteralString = (
        _FACE
        + _LABELLED
        + "WHERE a.hard_label = %(label_id)s ORDER BY f.scan_id, f.face_id LIMIT %(limit)s OFFSET %(offset)s"
    )
    parameters = {"collections": list(collections), "label_id": label_id, "limit": limit, "offset": offset}
    return _named(connection, connection.execute(query, parameters).fetchall())


def faces_on(connection: Connection, collections: Sequence[str], scan_id: str) -> list[PublicFace]:
    """The confirmed faces on a scan, from left to right. None of those without a confirmed name."""
    query: LiteralString = _FACE + _LABELLED + "WHERE f.scan_id = %(scan_id)s ORDER BY f.box_left, f.face_id"
    parameters = {"collections": list(collections), "scan_id": scan_id}
    return _named(connection, connection.execute(query, parameters).fetchall())


def is_face_public(connection: Connection, collections: Sequence[str], face_id: str) -> bool:
    """Whether a face is on a scan of a released collection, with a confirmed name."""
    query: LiteralString = _FACE + _LABELLED + "WHERE f.face_id = %(face_id)s"
    parameters = {"collections": list(collections), "face_id": face_id}
    return bool(_named(connection, connection.execute(query, parameters).fetchall()))


def is_scan_public(connection: Connection, collections: Sequence[str], scan_id: str) -> bool:
    """Whether a scan is of a released collection, with a confirmed name on it."""
    return bool(faces_on(connection, collections, scan_id))


def _named(connection: Connection, rows: Sequence[TupleRow]) -> list[PublicFace]:
    """The faces whose label is a person's, with the name.

    The names are read by themselves: joined, all decisions would be read for each picture.
    """
    label_ids = list({row[-1] for row in rows})
    query = "SELECT label_id, name FROM names WHERE label_id = ANY(%s)"
    names: dict[str, str] = dict(connection.execute(query, (label_ids,)).fetchall()) if label_ids else {}
    return [
        PublicFace(face_id, scan_id, collection, page, _box(*edges), label_id, names[label_id])
        for face_id, scan_id, collection, page, *edges, label_id in rows
        if label_id in names
    ]


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(left=left, top=top, right=right, bottom=bottom)

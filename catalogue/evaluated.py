"""Queries for measuring clusters by what is known of their faces: the faces of some scans, and those with a name."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import Connection

from schemas.scans import Box


def scans_named(connection: Connection, scan_ids: Iterable[str], uris: Iterable[str]) -> list[tuple[str, str]]:
    """The published scans with one of these ids or uris: id and uri."""
    rows = connection.execute(
        "SELECT scan_id, uri FROM scans WHERE scan_id = ANY(%s) OR uri = ANY(%s) ORDER BY scan_id",
        (list(scan_ids), list(uris)),
    )
    return [(scan_id, uri) for scan_id, uri in rows]


def faces_on(connection: Connection, scan_ids: Iterable[str]) -> list[tuple[str, str, Box]]:
    """The faces of these scans, by id: scan id, face id, and the box, relative to the scan."""
    rows = connection.execute(
        "SELECT scan_id, face_id, box_left, box_top, box_right, box_bottom FROM face_catalogue "
        "WHERE scan_id = ANY(%s) ORDER BY scan_id, face_id",
        (list(scan_ids),),
    )
    return [
        (scan_id, face_id, Box(left=left, top=top, right=right, bottom=bottom))
        for scan_id, face_id, left, top, right, bottom in rows
    ]


def existing_faces(connection: Connection, face_ids: Iterable[str]) -> set[str]:
    """Those of these faces that are in the catalogue."""
    rows = connection.execute("SELECT face_id FROM face_catalogue WHERE face_id = ANY(%s)", (list(face_ids),))
    return {face_id for (face_id,) in rows}


def people_of_faces(connection: Connection) -> dict[str, str]:
    """The person whom an archivist has named each face, by face id: the label id of the person, after mergers."""
    rows = connection.execute(
        "SELECT f.face_id, coalesce(n.person_id, f.label_id) FROM face_catalogue f "
        "LEFT JOIN names n ON n.label_id = f.label_id WHERE f.label_id IS NOT NULL"
    )
    return dict(rows.fetchall())

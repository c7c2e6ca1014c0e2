"""What pictures are cut from: a scan's file, and where its faces are on it.

A lost connection raises psycopg.OperationalError.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection

from schemas.scans import Box


@dataclass(frozen=True)
class FaceOnScan:
    """Where a face is on its scan, and how it lies there: see `schemas.faces.Face`."""

    face_id: str
    box: Box
    turn: int
    negative: bool


@dataclass(frozen=True)
class ScanFile:
    """A published scan: where its file is, and the checksum that the file had when it was published.

    analysed_sha256: the checksum of the file that the faces were found on; width, height: its size in pixels, as a
    person sees the scan. They are None before the analysis.
    """

    scan_id: str
    uri: str
    sha256: str
    page: int | None
    analysed_sha256: str | None
    width: int | None
    height: int | None
    faces: tuple[FaceOnScan, ...]


def scan_of_face(connection: Connection, face_id: str) -> ScanFile | None:
    """The scan that a face is on, with all its faces; None where there is no such face."""
    row = connection.execute(
        "SELECT f.scan_id FROM faces f JOIN scans s USING (scan_id) WHERE face_id = %s ORDER BY scan_id LIMIT 1",
        (face_id,),
    ).fetchone()
    return scan_file(connection, row[0]) if row else None


def scan_file(connection: Connection, scan_id: str) -> ScanFile | None:
    """A published scan with its faces, by id; None where there is none of this id."""
    row = connection.execute(
        """
        SELECT s.scan_id, s.uri, s.sha256, s.page, a.sha256, a.width, a.height
        FROM scans s LEFT JOIN analyses a USING (scan_id) WHERE s.scan_id = %s
        """,
        (scan_id,),
    ).fetchone()
    if row is None:
        return None
    faces = connection.execute(
        """
        SELECT face_id, box_left, box_top, box_right, box_bottom, turn, negative
        FROM faces WHERE scan_id = %s ORDER BY face_id
        """,
        (scan_id,),
    ).fetchall()
    on_scan = tuple(
        FaceOnScan(face_id, Box(left=left, top=top, right=right, bottom=bottom), turn, negative)
        for face_id, left, top, right, bottom, turn, negative in faces
    )
    found, uri, sha256, page, analysed_sha256, width, height = row
    return ScanFile(found, uri, sha256, page, analysed_sha256, width, height, on_scan)

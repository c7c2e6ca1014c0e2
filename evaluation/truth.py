"""Which person a face is, by what somebody wrote down about scans: rows of a truth file matched with faces.

A row names a person and a scan, and where several are on the scan, the face: by its id or by a point on it. Without,
it is the only face of the scan or, of several, the one nearest to the middle: most portraits are of one person.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from errors import UserError
from schemas.scans import Box


@dataclass(frozen=True)
class TruthRow:
    """One row of a truth file: the number of its line, the person, the scan's id and the face, if the row names it.

    scan_id: None where the row names only the face, or a scan that is unknown. scan: the scan as the row names it.
    point: x and y relative to the scan as a person sees it, 0 to 1.
    """

    line: int
    person: str
    scan: str
    scan_id: str | None = None
    face_id: str | None = None
    point: tuple[float, float] | None = None


@dataclass(frozen=True)
class PlacedFace:
    """A face and its box, relative to its scan."""

    face_id: str
    box: Box


@dataclass
class KnownFaces:
    """The faces whose person is known, and the rows that name none.

    people: the person of each face, by face id. unknown: rows whose scan or face is unknown. faceless: rows of scans
    without a face (at the point, where there is one). central: scans with several faces of which the central one was
    taken.
    """

    people: dict[str, str] = field(default_factory=dict)
    unknown: list[TruthRow] = field(default_factory=list)
    faceless: list[TruthRow] = field(default_factory=list)
    central: set[str] = field(default_factory=set)


class TruthProblem(UserError):
    """Two rows of a truth file that cannot both be true, or a row that leaves open which face it means."""


def known_faces(
    rows: Iterable[TruthRow], faces_of: Mapping[str, Sequence[PlacedFace]], face_ids: Iterable[str]
) -> KnownFaces:
    """The person of each face that the rows name.

    faces_of: the faces of each scan that is known, by scan id. face_ids: those of the faces that rows name, as far as
    there are such faces. Raises TruthProblem.
    """
    existing = set(face_ids)
    known = KnownFaces()
    lines: dict[str, int] = {}
    for row in rows:
        if row.face_id is not None:
            found = row.face_id if row.face_id in existing else None
        elif row.scan_id is None or row.scan_id not in faces_of:
            found = None
        else:
            faces = faces_of[row.scan_id]
            found = _face(row, faces)
            if found is None:
                known.faceless.append(row)
                continue
            if row.point is None and len(faces) > 1:
                known.central.add(row.scan_id)
        if found is None:
            known.unknown.append(row)
            continue
        if known.people.setdefault(found, row.person) != row.person:
            raise TruthProblem(
                f"lines {lines[found]} and {row.line} name one face of {row.scan} {known.people[found]} and "
                f"{row.person}: where a scan has several people, give each the column face_id, or x and y (0 to 1)"
            )
        lines.setdefault(found, row.line)
    return known


def _face(row: TruthRow, faces: Sequence[PlacedFace]) -> str | None:
    """The face that a row means among those of its scan; the nearest to its point, or to the middle of the scan."""
    point = row.point or (0.5, 0.5)
    if row.point is not None:
        faces = [face for face in faces if _holds(face.box, point)]
    nearest = min(faces, key=lambda face: (math.dist(_middle(face.box), point), face.face_id), default=None)
    return nearest.face_id if nearest else None


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.left <= point[0] <= box.right and box.top <= point[1] <= box.bottom


def _middle(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2

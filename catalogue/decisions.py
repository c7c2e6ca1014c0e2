"""What archivists decided, and what is proposed on the strength of it, asked of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class NamedPerson:
    """Somebody who was named, how many faces people named so (hard), and how many are proposed to be theirs (soft)."""

    label_id: str
    name: str
    authority: str | None
    hard: int
    soft: int


@dataclass(frozen=True)
class Proposal:
    """One name of a face's distribution."""

    label_id: str
    name: str
    probability: float


@dataclass(frozen=True)
class Rejection:
    """Somebody whom a face never is, and the decision that says so."""

    label_id: str
    name: str
    decision_id: str
    author: str
    decided_at: datetime


@dataclass(frozen=True)
class Pair:
    """A face that another is linked with or separated from (`kind`: linked, separated), and the decision."""

    face_id: str
    kind: str
    decision_id: str
    author: str
    decided_at: datetime


@dataclass(frozen=True)
class OrphanedDecision:
    """A decision that holds about a face that is not in the catalogue: `missing_face_id`, one of its faces."""

    missing_face_id: str
    decision_id: str
    kind: str
    author: str
    decided_at: datetime
    note: str | None
    face_id: str
    other_face_id: str | None
    label_id: str | None
    name: str | None


def people(connection: Connection) -> list[NamedPerson]:
    """Everybody who was named, by name."""
    with connection.cursor(row_factory=class_row(NamedPerson)) as cursor:
        return cursor.execute(
            "SELECT label_id, name, authority, hard, soft FROM people ORDER BY lower(name), label_id"
        ).fetchall()


def name_of(connection: Connection, label_id: str) -> str:
    """The name of a person; the label's id where no decision says one, or none has come yet."""
    row = connection.execute("SELECT name FROM names WHERE label_id = %s", (label_id,)).fetchone()
    return row[0] if row else label_id


def distribution(connection: Connection, face_id: str) -> list[Proposal]:
    """The names proposed for a face, the most probable first: none for a face that has a name or that none reaches."""
    with connection.cursor(row_factory=class_row(Proposal)) as cursor:
        return cursor.execute(
            """
            SELECT label_id, name, probability FROM suggestions WHERE face_id = %s
            ORDER BY probability DESC, label_id
            """,
            (face_id,),
        ).fetchall()


def rejections(connection: Connection, face_id: str) -> list[Rejection]:
    """Whom a face never is, the earliest decision first."""
    with connection.cursor(row_factory=class_row(Rejection)) as cursor:
        return cursor.execute(
            """
            SELECT r.label_id, coalesce(p.name, r.label_id) AS name, r.decision_id, r.author, r.decided_at
            FROM rejections r LEFT JOIN names p ON p.label_id = r.label_id
            WHERE r.face_id = %s ORDER BY r.decided_at, r.decision_id
            """,
            (face_id,),
        ).fetchall()


def pairs(connection: Connection, face_id: str) -> list[Pair]:
    """The faces that a face is linked with or separated from, the earliest decision first."""
    with connection.cursor(row_factory=class_row(Pair)) as cursor:
        return cursor.execute(
            """
            SELECT other_face_id AS face_id, kind, decision_id, author, decided_at FROM pairs
            WHERE face_id = %s ORDER BY decided_at, decision_id
            """,
            (face_id,),
        ).fetchall()


def orphans(connection: Connection) -> list[OrphanedDecision]:
    """The decisions that hold about faces that are not in the catalogue, the earliest first; one a missing face."""
    with connection.cursor(row_factory=class_row(OrphanedDecision)) as cursor:
        return cursor.execute(
            """
            SELECT of_face AS missing_face_id, d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id,
                   d.other_face_id, d.label_id, coalesce(d.name, p.name, d.label_id) AS name
            FROM holding_decisions d
            CROSS JOIN LATERAL unnest(ARRAY[d.face_id, d.other_face_id]) AS of_face
            LEFT JOIN names p ON p.label_id = d.label_id
            WHERE of_face IS NOT NULL AND NOT EXISTS (SELECT FROM face_catalogue f WHERE f.face_id = of_face)
            ORDER BY d.decided_at, d.decision_id, of_face
            """
        ).fetchall()

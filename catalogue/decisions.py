"""Queries for decisions, the people they name, and the labels suggested because of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from decisions.identities import Person


@dataclass(frozen=True)
class NamedPerson:
    """A person, and the number of faces with the label as hard and as soft label."""

    label_id: str
    name: str
    authority: str | None
    hard: int
    soft: int


@dataclass(frozen=True)
class SuggestedName:
    """One label of a face's distribution, with the person's name and the probability (0 to 1)."""

    label_id: str
    name: str
    probability: float


@dataclass(frozen=True)
class Rejection:
    """A label that is rejected for a face, with the person's name, and the decision."""

    label_id: str
    name: str
    decision_id: str
    author: str
    decided_at: datetime


@dataclass(frozen=True)
class Pair:
    """A face that another face is linked with or separated from, and the decision. `kind`: linked or separated."""

    face_id: str
    kind: str
    decision_id: str
    author: str
    decided_at: datetime


@dataclass(frozen=True)
class NotFace:
    """A face that is none, and the decision."""

    face_id: str
    decision_id: str
    author: str
    decided_at: datetime


@dataclass(frozen=True)
class Unsure:
    """A person of whom somebody was not sure whether a face is them, the decision, and until when it is not asked."""

    label_id: str
    name: str
    until: datetime
    decision_id: str
    author: str


@dataclass(frozen=True)
class OrphanedDecision:
    """A decision that holds about `missing_face_id`, a face that is not in the catalogue.

    Of `other_face_id`, `label_id` and `name`, those are None that the kind of decision lacks. `name` is the label id
    where nobody named the person.

    reason: `replaced` (the scan's picture on which the face was found was replaced, and no face at its place looks like
    it), `not found` (by the latest analysis of the scan), or `unknown` (the scan was withdrawn, or the face is not
    analysed yet). scan_id: that scan; None if unknown.
    """

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
    scan_id: str | None
    reason: str


def people(connection: Connection) -> list[NamedPerson]:
    """All people who were named, by name without regard to case, then by label id."""
    with connection.cursor(row_factory=class_row(NamedPerson)) as cursor:
        return cursor.execute(
            "SELECT label_id, name, authority, hard, soft FROM people ORDER BY lower(name), label_id"
        ).fetchall()


def known_labels(connection: Connection) -> dict[str, Person]:
    """Every label id that stands for somebody, with the person: the people, and those merged into them."""
    rows = connection.execute("SELECT label_id, person_id, name, authority FROM names ORDER BY label_id").fetchall()
    return {label_id: Person(person_id, name, authority) for label_id, person_id, name, authority in rows}


def name_of(connection: Connection, label_id: str) -> str:
    """The name of a person; the label id where no decision that was written here names one."""
    row = connection.execute("SELECT name FROM names WHERE label_id = %s", (label_id,)).fetchone()
    return row[0] if row else label_id


def distribution(connection: Connection, face_id: str) -> list[SuggestedName]:
    """The suggestions for a face, most probable first; empty for a face with a hard label."""
    with connection.cursor(row_factory=class_row(SuggestedName)) as cursor:
        return cursor.execute(
            """
            SELECT label_id, name, probability FROM suggestions WHERE face_id = %s
            ORDER BY probability DESC, label_id
            """,
            (face_id,),
        ).fetchall()


def rejections(connection: Connection, face_id: str) -> list[Rejection]:
    """The labels that are rejected for a face, earliest decision first."""
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
    """The faces that a face is linked with or separated from, earliest decision first."""
    with connection.cursor(row_factory=class_row(Pair)) as cursor:
        return cursor.execute(
            """
            SELECT other_face_id AS face_id, kind, decision_id, author, decided_at FROM pairs
            WHERE face_id = %s ORDER BY decided_at, decision_id
            """,
            (face_id,),
        ).fetchall()


def not_faces(connection: Connection, face_ids: Collection[str] | None = None) -> list[NotFace]:
    """What is not a face, of all or of these faces: latest decision first."""
    with connection.cursor(row_factory=class_row(NotFace)) as cursor:
        return cursor.execute(
            """
            SELECT face_id, decision_id, author, decided_at FROM not_faces
            WHERE %(ids)s::text[] IS NULL OR face_id = ANY(%(ids)s) ORDER BY decided_at DESC, decision_id DESC
            """,
            {"ids": None if face_ids is None else list(face_ids)},
        ).fetchall()


def unsure(connection: Connection, face_id: str) -> list[Unsure]:
    """The people that a face is not proposed for now, because somebody was not sure."""
    with connection.cursor(row_factory=class_row(Unsure)) as cursor:
        return cursor.execute(
            """
            SELECT u.label_id, coalesce(p.name, u.label_id) AS name, u.until, u.decision_id, u.author
            FROM unsure u LEFT JOIN names p ON p.label_id = u.label_id
            WHERE u.face_id = %s ORDER BY u.until, u.label_id
            """,
            (face_id,),
        ).fetchall()


def orphans(connection: Connection) -> list[OrphanedDecision]:
    """The decisions that hold about faces that are not in the catalogue, earliest first.

    A decision about two missing faces is returned twice, once for each.
    """
    with connection.cursor(row_factory=class_row(OrphanedDecision)) as cursor:
        return cursor.execute(
            """
            SELECT about.face_id AS missing_face_id, d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id,
                   d.other_face_id, d.label_id, coalesce(d.name, p.name, d.label_id) AS name,
                   kept.scan_id, coalesce(kept.reason, 'unknown') AS reason
            FROM holding_decisions d
            CROSS JOIN LATERAL unnest(ARRAY[d.face_id, d.other_face_id]) AS about(face_id)
            LEFT JOIN names p ON p.label_id = d.label_id
            LEFT JOIN LATERAL (
                SELECT k.scan_id, CASE
                    WHEN k.sha256 IS NOT NULL AND (k.sha256, k.page) IS DISTINCT FROM (s.sha256, s.page) THEN 'replaced'
                    ELSE 'not found' END AS reason
                FROM kept_faces k JOIN scans s USING (scan_id)
                WHERE k.face_id = about.face_id ORDER BY k.scan_id LIMIT 1
            ) kept ON true
            -- One face at a time: there are fewer decisions than faces.
            LEFT JOIN LATERAL (SELECT true AS here FROM face_catalogue f WHERE f.face_id = about.face_id LIMIT 1) found
            ON true
            WHERE about.face_id IS NOT NULL AND found.here IS NULL
            ORDER BY d.decided_at, d.decision_id, about.face_id
            """
        ).fetchall()

"""Queries for decisions as they were made, with those that were undone, and their undos."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import class_row

Order = tuple[datetime, str]
"""What decisions are sorted by: their time, then their id."""

# The columns of `Entry`, of rows of `decisions` called d.
_COLUMNS: LiteralString = """
    d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id, d.other_face_id, d.label_id, d.other_label_id,
    d.name, d.authority, d.until, d.undone_decision_id, (
        SELECT u.decision_id FROM holding_decisions u
        WHERE u.undone_decision_id = d.decision_id AND (u.decided_at, u.decision_id) > (d.decided_at, d.decision_id)
        ORDER BY u.decided_at DESC, u.decision_id DESC LIMIT 1
    ) AS undone_by
"""

# The undos of what `about` has. One that is not later than the decision is ignored.
_UNDOS: LiteralString = """
    SELECT u.decision_id, u.decided_at FROM about JOIN decisions u ON u.undone_decision_id = about.decision_id
    WHERE (u.decided_at, u.decision_id) > (about.decided_at, about.decision_id)
"""


@dataclass(frozen=True)
class Entry:
    """A decision. What its kind lacks is None. undone_by: the id of the undo that ends it, None where it holds."""

    decision_id: str
    kind: str
    author: str
    decided_at: datetime
    note: str | None
    face_id: str | None
    other_face_id: str | None
    label_id: str | None
    other_label_id: str | None
    name: str | None
    authority: str | None
    until: datetime | None
    undone_decision_id: str | None
    undone_by: str | None

    @property
    def holds(self) -> bool:
        """Whether nobody has undone it."""
        return self.undone_by is None

    @property
    def order(self) -> Order:
        """What decisions are sorted by."""
        return self.decided_at, self.decision_id


def of_face(connection: Connection, face_id: str) -> list[Entry]:
    """All decisions about a face and their undos, earliest first."""
    query: LiteralString = (
        """
        WITH RECURSIVE about AS (
            SELECT decision_id, decided_at FROM decisions WHERE face_id = %(id)s OR other_face_id = %(id)s
            UNION
            """
        + _UNDOS
        + """
        )
        SELECT """
        + _COLUMNS
        + " FROM decisions d JOIN about USING (decision_id, decided_at) ORDER BY d.decided_at, d.decision_id"
    )
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(query, {"id": face_id}).fetchall()


def of_person(connection: Connection, label_id: str) -> list[Entry]:
    """All decisions about a person alone, under any of their label ids, and their undos, earliest first."""
    query: LiteralString = (
        """
        WITH RECURSIVE same AS (
            SELECT l.label_id, l.removed_by FROM known_labels l
            WHERE l.person_id = coalesce((SELECT person_id FROM known_labels WHERE label_id = %(id)s), %(id)s)
        ),
        about AS (
            SELECT d.decision_id, d.decided_at FROM decisions d
            JOIN same ON same.label_id IN (d.label_id, d.other_label_id)
            WHERE d.kind IN ('renamed', 'removed', 'merged')
            UNION
            SELECT d.decision_id, d.decided_at FROM decisions d JOIN same ON same.removed_by = d.decision_id
            UNION
            """
        + _UNDOS
        + """
        )
        SELECT """
        + _COLUMNS
        + " FROM decisions d JOIN about USING (decision_id, decided_at) ORDER BY d.decided_at, d.decision_id"
    )
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(query, {"id": label_id}).fetchall()


def latest(connection: Connection, limit: int, before: Order | None = None) -> list[Entry]:
    """The `limit` latest decisions of everybody, or those before this one in the order: latest first."""
    query: LiteralString = (
        "SELECT "
        + _COLUMNS
        + """
        FROM decisions d WHERE %(at)s::timestamptz IS NULL OR (d.decided_at, d.decision_id) < (%(at)s, %(id)s)
        ORDER BY d.decided_at DESC, d.decision_id DESC LIMIT %(limit)s
        """
    )
    at, decision_id = before or (None, None)
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(query, {"at": at, "id": decision_id, "limit": limit}).fetchall()

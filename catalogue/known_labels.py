"""Keeps the table `known_labels`: who the label ids of decisions stand for.

The rules are those of `decisions.identities`, which SQL could hardly express. Only the people that a batch is about are
computed again, from the decisions about them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg import Connection
from psycopg.rows import dict_row

from catalogue import rows, tables
from decisions.identities import Identities
from schemas.decisions import Decision, FaceNamed, PeopleMerged, PersonRemoved, PersonRenamed

_EVENTS: dict[str, type[Decision]] = {
    "named": FaceNamed,
    "renamed": PersonRenamed,
    "removed": PersonRemoved,
    "merged": PeopleMerged,
}


def touched_by(connection: Connection, decision_ids: Sequence[str]) -> set[str]:
    """The label ids that these decisions are about, or the decisions that they undo, directly or not."""
    found = connection.execute(
        """
        WITH RECURSIVE chain AS (
            SELECT decision_id, label_id, other_label_id, undone_decision_id FROM decisions
            WHERE decision_id = ANY(%s)
            UNION
            SELECT d.decision_id, d.label_id, d.other_label_id, d.undone_decision_id
            FROM chain JOIN decisions d ON d.decision_id = chain.undone_decision_id
        )
        SELECT DISTINCT about.label_id FROM chain CROSS JOIN LATERAL unnest(ARRAY[label_id, other_label_id])
        AS about(label_id) WHERE about.label_id IS NOT NULL
        """,
        (list(decision_ids),),
    ).fetchall()
    return {label_id for (label_id,) in found}


def update(connection: Connection, label_ids: Collection[str]) -> None:
    """Compute again who these label ids stand for, and those that were ever merged with them."""
    if not label_ids:
        return
    label_ids = _ever_merged_with(connection, label_ids)
    identities = Identities(_decisions_about(connection, label_ids))
    known = _in_decisions(connection, label_ids)
    tables.replace(
        connection,
        tables.KNOWN_LABELS,
        label_ids,
        [rows.known_label(label_id, identities) for label_id in label_ids if label_id in known],
    )


def _ever_merged_with(connection: Connection, label_ids: Collection[str]) -> list[str]:
    """These label ids and those that merges connect with them, whether they hold or not: in ascending order."""
    found = connection.execute(
        """
        WITH RECURSIVE pairs AS MATERIALIZED (
            SELECT label_id, other_label_id FROM decisions WHERE kind = 'merged'
            UNION ALL
            SELECT other_label_id, label_id FROM decisions WHERE kind = 'merged'
        ),
        connected(label_id) AS (
            SELECT wanted.label_id COLLATE "C" FROM unnest(%s::text[]) AS wanted(label_id)
            UNION
            SELECT pairs.other_label_id FROM connected JOIN pairs USING (label_id)
        )
        SELECT label_id FROM connected
        """,
        (list(label_ids),),
    ).fetchall()
    return sorted(label_id for (label_id,) in found)


def _decisions_about(connection: Connection, label_ids: Sequence[str]) -> list[Decision]:
    """The decisions that hold and settle who these label ids stand for."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            """
            SELECT decision_id, kind, author, decided_at, face_id, label_id, other_label_id, name, authority
            FROM holding_decisions WHERE label_id = ANY(%s) AND kind = ANY(%s)
            """,
            (label_ids, list(_EVENTS)),
        ).fetchall()
    return [_EVENTS[row["kind"]].model_construct(**row) for row in found]


def _in_decisions(connection: Connection, label_ids: Sequence[str]) -> set[str]:
    """Those of these label ids that any decision is about, whether it holds or not."""
    found = connection.execute(
        """
        SELECT label_id FROM unnest(%(ids)s::text[]) AS wanted(label_id)
        WHERE EXISTS (SELECT FROM decisions d WHERE d.label_id = wanted.label_id COLLATE "C")
        UNION
        SELECT other_label_id FROM decisions WHERE kind = 'merged' AND other_label_id = ANY(%(ids)s)
        """,
        {"ids": label_ids},
    ).fetchall()
    return {label_id for (label_id,) in found}

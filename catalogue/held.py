"""All that the catalogue holds about a person, as rows of its tables: for whoever has a right to know it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import dict_row

from catalogue import own_vectors

Row = dict[str, Any]


def label_ids_of(connection: Connection, label_id: str) -> list[str]:
    """All label ids that stand for the same person as this one."""
    rows = connection.execute(
        """
        SELECT label_id FROM known_labels
        WHERE person_id = (SELECT person_id FROM known_labels WHERE label_id = %s) ORDER BY label_id
        """,
        (label_id,),
    )
    return [one for (one,) in rows] or [label_id]


def named_faces(connection: Connection, label_ids: Collection[str]) -> list[str]:
    """The faces that have one of these names by decision."""
    return _ids(connection, "SELECT face_id FROM face_catalogue WHERE label_id = ANY(%s) ORDER BY 1", label_ids)


def proposed_faces(connection: Connection, label_ids: Collection[str]) -> list[str]:
    """The faces without a name for which one of these is the most probable."""
    query: LiteralString = """
        SELECT face_id FROM face_catalogue WHERE label_id IS NULL AND soft_label = ANY(%s) ORDER BY 1
    """
    return _ids(connection, query, label_ids)


def faces(connection: Connection, face_ids: Collection[str]) -> list[Row]:
    """These faces: boxes, landmarks, quality, embeddings, assignment, and the provenance of their analysis.

    The embedding by the embedder of a generation is called after its table.
    """
    found = _rows(
        connection,
        """
        SELECT f.*, f.embedding::text AS embedding, a.cluster_id, a.role, a.hard_label, a.soft_label, a.probability,
               a.distribution, n.provenance, n.analysed_at
        FROM faces f JOIN analyses n USING (scan_id) LEFT JOIN assignments a USING (face_id)
        WHERE f.face_id = ANY(%s) ORDER BY f.scan_id, f.face_id
        """,
        face_ids,
    )
    for table in own_vectors.tables_of_all(connection):
        by_face = own_vectors.texts(connection, table, face_ids)
        for row in found:
            row[table] = by_face.get(row["face_id"])
    return found


def scans(connection: Connection, face_ids: Collection[str]) -> list[Row]:
    """The scans that these faces are on, with what the archive says of them."""
    return _rows(
        connection,
        """
        SELECT DISTINCT ON (s.scan_id) s.* FROM scans s JOIN faces f USING (scan_id)
        WHERE f.face_id = ANY(%s) ORDER BY s.scan_id
        """,
        face_ids,
    )


def decisions(connection: Connection, face_ids: Collection[str], label_ids: Collection[str]) -> list[Row]:
    """The decisions about these faces and people, with the undos of them, earliest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            WITH RECURSIVE about AS (
                SELECT * FROM decisions
                WHERE face_id = ANY(%(faces)s) OR other_face_id = ANY(%(faces)s)
                    OR label_id = ANY(%(labels)s) OR other_label_id = ANY(%(labels)s)
                UNION
                SELECT d.* FROM decisions d JOIN about a ON d.undone_decision_id = a.decision_id
            )
            SELECT * FROM about ORDER BY decided_at, decision_id
            """,
            {"faces": list(face_ids), "labels": list(label_ids)},
        ).fetchall()


def cluster_changes(connection: Connection, face_ids: Collection[str]) -> list[Row]:
    """The changes of clusters that are called after one of these faces."""
    return _rows(
        connection,
        """
        SELECT * FROM cluster_changes
        WHERE cluster_id = ANY(%(ids)s) OR successor = ANY(%(ids)s) OR parts && %(ids)s ORDER BY partition, "offset"
        """,
        face_ids,
    )


def _rows(connection: Connection, query: LiteralString, ids: Collection[str]) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        given = list(ids)
        return cursor.execute(query, {"ids": given} if "%(ids)s" in query else (given,)).fetchall()


def _ids(connection: Connection, query: LiteralString, label_ids: Collection[str]) -> list[str]:
    return [one for (one,) in connection.execute(query, (list(label_ids),))]

"""The tables that hold the latest of each key, and the one way they are written: take the keys out, put the rows in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import Connection, Cursor, sql

from catalogue.rows import Row


@dataclass(frozen=True)
class Table:
    """A table, the column that is its topic's key, and its columns in the order of the rows, with their types."""

    name: str
    key: str
    columns: Mapping[str, str]


SCANS = Table(
    "scans",
    "scan_id",
    {
        "scan_id": "text",
        "uri": "text",
        "sha256": "text",
        "media_type": "text",
        "collection": "text",
        "page": "int4",
        "metadata": "jsonb",
        "published_at": "timestamptz",
    },
)
ANALYSES = Table(
    "analyses",
    "scan_id",
    {
        "scan_id": "text",
        "analysis": "int8",
        "sha256": "text",
        "width": "int4",
        "height": "int4",
        "provenance": "jsonb",
    },
)
FACES = Table(
    "faces",
    "scan_id",
    {
        "face_id": "text",
        "scan_id": "text",
        "analysis": "int8",
        "box_left": "float8",
        "box_top": "float8",
        "box_right": "float8",
        "box_bottom": "float8",
        "landmarks": "jsonb",
        "score": "float8",
        "size_px": "float8",
        "sharpness": "float8",
        "embedding": "vector",
    },
)
ASSIGNMENTS = Table(
    "assignments",
    "face_id",
    {
        "face_id": "text",
        "scan_id": "text",
        "analysis": "int8",
        "cluster_id": "text",
        "role": "text",
        "hard_label": "text",
        "soft_label": "text",
        "probability": "float8",
        "distribution": "jsonb",
    },
)
DECISIONS = Table(
    "decisions",
    "decision_id",
    {
        "decision_id": "text",
        "kind": "text",
        "author": "text",
        "decided_at": "timestamptz",
        "note": "text",
        "face_id": "text",
        "other_face_id": "text",
        "label_id": "text",
        "name": "text",
        "authority": "text",
        "undone_decision_id": "text",
    },
)


def replace(connection: Connection, table: Table, keys: Sequence[str], rows: Sequence[Row]) -> None:
    """Take everything of these keys out of the table, and put the rows in."""
    if keys:
        _execute(connection, "DELETE FROM {table} WHERE {key} = ANY(%s)", table, keys)
    if rows:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        copy_from = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)")
        statement = copy_from.format(table=sql.Identifier(table.name), columns=columns)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(table.columns.values()))
            for row in rows:
                copy.write_row(row)


def analyses(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
    """The analysis that stands in the table for each of these keys, where one does."""
    if not keys:
        return {}
    return dict(_execute(connection, "SELECT {key}, analysis FROM {table} WHERE {key} = ANY(%s)", table, keys))


def _execute(connection: Connection, statement: LiteralString, table: Table, keys: Sequence[str]) -> Cursor:
    composed = sql.SQL(statement).format(table=sql.Identifier(table.name), key=sql.Identifier(table.key))
    return connection.execute(composed, (list(keys),))

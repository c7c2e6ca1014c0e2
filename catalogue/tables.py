"""Writes rows into tables. The columns are those of the rows (`catalogue.rows`), their types those of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import Connection, sql

from catalogue.rows import Row


@dataclass(frozen=True)
class Table:
    """A table with the latest message of each key, and the column that holds the key of its topic.

    generation: of a table that holds those of several, the one that is meant.
    """

    name: str
    key: str
    generation: str | None = None


SCANS = Table("scans", key="scan_id")
KEPT_FACES = Table("kept_faces", key="scan_id")
ANALYSES = Table("analyses", key="scan_id")
FACES = Table("faces", key="scan_id")
DECISIONS = Table("decisions", key="decision_id")
KNOWN_LABELS = Table("known_labels", key="label_id")
GENERATIONS = Table("generations", key="generation")


def assignments(generation: str) -> Table:
    """The assignments of a generation."""
    return Table("all_assignments", key="face_id", generation=generation)


def replace(connection: Connection, table: Table, keys: Sequence[str], rows: Sequence[Row]) -> None:
    """Delete all rows with one of these keys, and insert `rows`. Raises psycopg.Error."""
    if keys:
        delete = sql.SQL("DELETE FROM {table} WHERE {key} = ANY(%s)").format(**_identifiers(table))
        connection.execute(delete + _of_generation(table), (list(keys),))
    if rows:
        _copy(connection, table.name, rows)


def insert(connection: Connection, table: str, rows: Sequence[Row], on_conflict: LiteralString) -> None:
    """Insert rows. `on_conflict` is the clause for one whose primary key is in the table. Raises psycopg.Error."""
    if rows:
        statement = sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values}) {on_conflict}").format(
            table=sql.Identifier(table),
            columns=_columns(rows[0]),
            values=sql.SQL(", ").join(map(sql.Placeholder, rows[0])),
            on_conflict=sql.SQL(on_conflict),
        )
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)


def empty(connection: Connection, table: str, generation: str | None = None) -> None:
    """Delete all rows, or all of a generation. Raises psycopg.Error."""
    if generation is None:
        connection.execute(sql.SQL("TRUNCATE {table}").format(table=sql.Identifier(table)))
    else:
        delete = sql.SQL("DELETE FROM {table} WHERE generation = %s")
        connection.execute(delete.format(table=sql.Identifier(table)), (generation,))


def analyses(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
    """The column `analysis` by key, of the rows with one of these keys. Raises psycopg.Error."""
    if not keys:
        return {}
    select = sql.SQL("SELECT {key}, analysis FROM {table} WHERE {key} = ANY(%s)").format(**_identifiers(table))
    return dict(connection.execute(select + _of_generation(table), (list(keys),)).fetchall())


def _copy(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    names = {"table": sql.Identifier(table), "columns": _columns(rows[0])}
    # Binary COPY, because text takes several times as long for embeddings. It converts nothing, so the values have to
    # be sent in the exact types of the columns.
    described = connection.execute(sql.SQL("SELECT {columns} FROM {table} LIMIT 0").format(**names)).description or []
    statement = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)").format(**names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([column.type_code for column in described])
        for row in rows:
            copy.write_row(tuple(row.values()))


def _columns(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _identifiers(table: Table) -> dict[str, sql.Identifier]:
    return {"table": sql.Identifier(table.name), "key": sql.Identifier(table.key)}


def _of_generation(table: Table) -> sql.Composable:
    if table.generation is None:
        return sql.SQL("")
    return sql.SQL(" AND generation = {}").format(sql.Literal(table.generation))

"""Databases as former versions of the catalogue made them, with rows: tests/catalogue/former has their statements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import Connection, sql

_FOLDER = Path(__file__).parents[1] / "catalogue" / "former"

FORMER = ("1", "2", "2-with-kept-faces", "3", "4-with-counts", "4-with-totals", "4", "5")
"""The versions. Some had several forms: what was added to them since."""

# What is there without rows, and what triggers fill.
_TOTALS = ("cluster_totals", "cluster_labels", "label_totals")
_ALL_TOTALS = tuple(f"all_{table}" for table in _TOTALS)
_KEPT_BY_ITSELF = ("catalogue_version", "catalogue_embedder", "live_generation", *_TOTALS, *_ALL_TOTALS)


def make(connection: Connection, version: str) -> None:
    """The tables of a version, without rows."""
    connection.execute(_text(version).encode())


def fill(connection: Connection) -> None:
    """Rows in all tables that the version has."""
    has_years = "years" in _columns(connection, "scans")
    rows = _text("rows")
    for place, value in {"years": ", years", "of_album": ", '{1931,1932}'", "of_none": ", '{}'"}.items():
        rows = rows.replace(f"{{{place}}}", value if has_years else "")
    connection.execute(rows.encode())
    if _columns(connection, "decisions"):
        connection.execute(_text("decisions").encode())


def rows_of(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, in the same order each time."""
    found = {}
    for table in _tables(connection):
        query = sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY to_jsonb(t)").format(sql.Identifier(table))
        found[table] = [row for (row,) in connection.execute(query)]
    return found


def copy(source: Connection, target: Connection) -> None:
    """Have tables of a former version hold what the catalogue `source` does, as far as they can."""
    for table in _tables(target):
        names = [name for name in _columns(target, table) if name in _columns(source, table)]
        if table in _KEPT_BY_ITSELF or not names:
            continue
        parts = {"table": sql.Identifier(table), "columns": sql.SQL(", ").join(map(sql.Identifier, names))}
        with (
            source.cursor().copy(sql.SQL("COPY (SELECT {columns} FROM {table}) TO STDOUT").format(**parts)) as read,
            target.cursor().copy(sql.SQL("COPY {table} ({columns}) FROM STDIN").format(**parts)) as written,
        ):
            for block in read:
                written.write(block)


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _tables(connection: Connection) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    return [table for (table,) in connection.execute(query)]


def _columns(connection: Connection, table: str) -> list[str]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
    return [name for (name,) in connection.execute(query, (table,))]

"""What others rely on, as it was recorded (tests/contract), and as it is in a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

RECORDED = Path(__file__).parents[1] / "contract" / "recorded"

# What a database holds, as PostgreSQL itself describes it.
_TABLES = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, collation_name
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
    """,
    "vectors": """
        SELECT c.relname AS table_name, a.attname AS column_name, format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
        WHERE t.typname = 'vector' AND c.relkind = 'r' ORDER BY 1, 2
    """,
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
    "triggers": """
        SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY viewname",
    "functions": """
        SELECT p.proname, pg_get_functiondef(p.oid) AS definition FROM pg_proc p
        JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace = 'public'::regnamespace AND l.lanname IN ('sql', 'plpgsql') ORDER BY p.proname
    """,
}


def tables(connection: Connection) -> dict[str, Any]:
    """The tables, views, indexes and functions of a catalogue without rows."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {name: cursor.execute(query).fetchall() for name, query in _TABLES.items()}


def recorded(name: str) -> Any:  # noqa: ANN401
    """What was recorded under this name."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))

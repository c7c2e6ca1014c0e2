"""What others rely on: events, topics, tables and settings are those that were recorded.

Record a change that is meant again: `python -m tests.contract.test_recorded` (see CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from catalogue.connection import connect
from local.services import services
from schemas.topics import TOPICS
from settings import DatabaseSettings, Settings

_RECORDED = Path(__file__).parent / "recorded"

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
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY viewname",
    "functions": """
        SELECT p.proname, pg_get_functiondef(p.oid) AS definition FROM pg_proc p
        JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace = 'public'::regnamespace AND l.lanname IN ('sql', 'plpgsql') ORDER BY p.proname
    """,
}


def events() -> dict[str, Any]:
    """The JSON Schema of every event by its type, without the words that describe it."""
    return {
        event.type: _bare(event.model_json_schema(mode="serialization")) for topic in TOPICS for event in topic.events
    }


def topics() -> dict[str, Any]:
    """The configuration of each topic, and the events it carries."""
    return {
        topic.name: {
            "key": topic.key,
            "partitions": topic.partitions,
            "config": topic.config,
            "events": [event.type for event in topic.events],
        }
        for topic in TOPICS
    }


def settings() -> dict[str, Any]:
    """The settings with their defaults."""
    return Settings.model_construct().model_dump(mode="json")


def tables(connection: Connection) -> dict[str, Any]:
    """The tables, views, indexes and functions of a catalogue without rows."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {name: cursor.execute(query).fetchall() for name, query in _TABLES.items()}


def _bare(schema: Any) -> Any:  # noqa: ANN401
    if isinstance(schema, dict):
        # A title or a description says nothing of what is valid; a property may still be called so.
        return {
            name: {key: _bare(value) for key, value in it.items()} if name in ("properties", "$defs") else _bare(it)
            for name, it in schema.items()
            if name not in ("title", "description") or not isinstance(it, str)
        }
    return [_bare(it) for it in schema] if isinstance(schema, list) else schema


def recorded(name: str) -> Any:  # noqa: ANN401
    return json.loads((_RECORDED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "present"), [("events", events), ("topics", topics), ("settings", settings)])
def test_what_was_recorded_is_what_there_is(name: str, present: Any) -> None:  # noqa: ANN401
    assert present() == recorded(name)


def test_the_tables_are_those_that_were_recorded(connection: Connection) -> None:
    assert tables(connection) == recorded("tables")


def _record(name: str, value: Any) -> None:  # noqa: ANN401
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    (_RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name, present in (("events", events), ("topics", topics), ("settings", settings)):
        _record(name, present())
    with (
        tempfile.TemporaryDirectory(prefix="facestream-") as folder,
        services(Settings(data=Path(folder)), kafka=False, command="record") as running,
    ):
        assert running.database.url
        with psycopg.connect(running.database.url, autocommit=True) as server:
            server.execute("CREATE DATABASE contract")
        with connect(DatabaseSettings(url=make_conninfo(running.database.url, dbname="contract"))) as opened:
            _record("tables", tables(opened))

"""Creates the tables in an empty database, and refuses a database with tables of another version."""

from __future__ import annotations

from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg import Connection, errors

from catalogue.errors import CatalogueError
from schemas.faces import EMBEDDING_DIMENSIONS

VERSION = 4
"""The version of the files below: raise it by one when a table, view or function changes."""

_FILES = ("schema.sql", "totals.sql")

# What was added to this version, each with a query whose only value is NULL where it is missing.
_ADDITIONS: dict[str, LiteralString] = {
    "kept_faces.sql": "SELECT to_regclass('kept_faces')",
    "face_turns.sql": """
        SELECT max(attname) FROM pg_attribute
        WHERE attrelid = to_regclass('faces') AND attname = 'turn' AND NOT attisdropped
    """,
}

# An advisory lock's key that nothing else uses. The lock is held only while the tables are looked for and created.
_LOCK = 4_051_998_001

# The oldest pgvector with iterative index scans, which the reader uses.
_MIN_PGVECTOR = (0, 8)


def prepare(connection: Connection) -> None:
    """Create the extension, tables and views where they are missing. Any number of processes may do so at once.

    Raises CatalogueError when pgvector is unavailable, the user may not create tables, or the database holds other
    tables or a catalogue of another version. There is no migration: an empty database is filled again from Kafka.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection)
        if version is None:
            _create(connection, *map(_statements, (*_FILES, *_ADDITIONS)))
            connection.execute("INSERT INTO catalogue_version VALUES (%s)", (VERSION,))
        elif version == VERSION:
            for file, is_there in _ADDITIONS.items():
                if connection.execute(is_there).fetchone() == (None,):
                    _create(connection, _statements(file))
        else:
            raise CatalogueError(
                f"{name(connection)} holds a catalogue of version {version}, this program needs version {VERSION}: "
                "give it an empty database, it fills it again from Kafka (of an embedded one, delete that folder)"
            )


def name(connection: Connection) -> str:
    """The database's name and host, for messages."""
    return f"the database {connection.info.dbname!r} at {connection.info.host or 'the local socket'}"


def _version(connection: Connection) -> int | None:
    ((table,),) = connection.execute("SELECT to_regclass('catalogue_version')")
    if table is None:
        return None
    rows = connection.execute("SELECT version FROM catalogue_version").fetchall()
    return int(rows[0][0]) if rows else None


def _create(connection: Connection, *statements: bytes) -> None:
    _create_extension(connection)
    try:
        for statement in statements:
            connection.execute(statement)
    except (errors.DuplicateTable, errors.DuplicateFunction) as error:
        raise CatalogueError(
            f"{name(connection)} already holds something else ({_first_line(error)}): "
            "give the catalogue a database of its own"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CatalogueError(
            f"{name(connection)}: {connection.info.user!r} may not create tables ({_first_line(error)})"
        ) from error


def _statements(file: str) -> bytes:
    text = (files("catalogue") / file).read_text(encoding="utf-8")
    return text.replace("{embedding_dimensions}", str(EMBEDDING_DIMENSIONS)).encode()


def _create_extension(connection: Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
        raise CatalogueError(
            f"{name(connection)} has no pgvector ({_first_line(error)}): install it on the PostgreSQL server"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CatalogueError(
            f"{name(connection)} has no pgvector, and {connection.info.user!r} may not add it: "
            "have a superuser run CREATE EXTENSION vector in it"
        ) from error
    ((version,),) = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(int(number) for number in version.split(".")[:2]) < _MIN_PGVECTOR:
        raise CatalogueError(f"{name(connection)} has pgvector {version}, 0.8 or later is needed")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]

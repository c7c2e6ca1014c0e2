"""Making the tables: once, whoever comes first, and refusing those of another version."""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg import Connection, errors

from catalogue.errors import CatalogueError

VERSION = 2

# Any number that nobody else locks; held only while the tables are looked for and made.
_LOCK = 4_051_998_001

_PGVECTOR = (0, 8)


def prepare(connection: Connection) -> None:
    """Make the extension, tables and views where they are missing. Any number of processes may do it at once.

    Raises CatalogueError when the extension cannot be had, or the database holds something else.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection)
        if version is None:
            _create(connection)
        elif version != VERSION:
            raise CatalogueError(
                f"{name(connection)} holds a catalogue of version {version}, this program needs version {VERSION}: "
                "give it an empty database, it fills it again from Kafka"
            )


def name(connection: Connection) -> str:
    """The database, as a person knows it."""
    return f"the database {connection.info.dbname!r} at {connection.info.host or 'the local socket'}"


def _version(connection: Connection) -> int | None:
    ((table,),) = connection.execute("SELECT to_regclass('catalogue_version')")
    if table is None:
        return None
    rows = connection.execute("SELECT version FROM catalogue_version").fetchall()
    return int(rows[0][0]) if rows else None


def _create(connection: Connection) -> None:
    _create_extension(connection)
    try:
        connection.execute((files("catalogue") / "schema.sql").read_bytes())
    except (errors.DuplicateTable, errors.DuplicateFunction) as error:
        raise CatalogueError(
            f"{name(connection)} already holds something else ({_first_line(error)}): "
            "give the catalogue a database of its own"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CatalogueError(
            f"{name(connection)}: {connection.info.user!r} may not create tables ({_first_line(error)})"
        ) from error
    connection.execute("INSERT INTO catalogue_version VALUES (%s)", (VERSION,))


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
    if tuple(int(part) for part in version.split(".")[:2]) < _PGVECTOR:
        raise CatalogueError(f"{name(connection)} has pgvector {version}, 0.8 or later is needed")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]

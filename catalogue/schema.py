"""Creates the tables in an empty database, and brings those of an earlier version to the present one, in place.

Migrations are numbered files of SQL, `to_version_N.sql`, never changed once they were used. They change tables only,
and keep their rows. What follows from tables (totals, views, counts) is made again after the last one, as it is now.
What no row has is read again from Kafka: a migration deletes the offsets of that topic, so that the catalogue consumer
reads it from its beginning. All that a database lacks is run in one transaction: where one fails, nothing is done, and
the next start tries again.
"""

from __future__ import annotations

from importlib.resources import files

import psycopg
import structlog
from psycopg import Connection, errors

from catalogue import counts
from catalogue.errors import CatalogueError
from schemas.base import DLIB_EMBEDDER, EMBEDDING_DIMENSIONS

MIGRATIONS = (2, 3, 5, 6)
"""The versions that there is a migration to. None leads to 4: several were called so, and 5 follows all of them."""

VERSION = MIGRATIONS[-1]
"""The version of schema.sql."""

_TOTALS_SINCE = 5
"""From this version on a database has the tables of totals_tables.sql; a migration keeps them as it does others."""

_FOLLOWING = ("totals.sql", "views.sql")

# An advisory lock's key that nothing else uses. The lock is held while tables are looked for, created or migrated.
_LOCK = 4_051_998_001

# The oldest pgvector with iterative index scans, which the reader uses.
_MIN_PGVECTOR = (0, 8)

log = structlog.get_logger()


def prepare(connection: Connection) -> None:
    """Create the extension, tables and views where they are missing, and migrate those of an earlier version.

    Any number of processes may do so at once. Raises CatalogueError when pgvector is unavailable, the user may not
    create or change tables, or the database holds other tables, a catalogue of a later version, or views of somebody's
    own that are in the way of a migration.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection)
        if version is None:
            _create_extension(connection)
            _run(connection, "schema.sql", "vector_index.sql", "totals_tables.sql", *_FOLLOWING)
            connection.execute("INSERT INTO catalogue_version VALUES (%s)", (VERSION,))
        elif version > VERSION:
            raise CatalogueError(
                f"{name(connection)} holds a catalogue of version {version}, which is newer than this program, "
                f"which knows version {VERSION}: update Facestream"
            )
        elif version < VERSION:
            log.info("the tables of the catalogue are migrated", from_version=version, to_version=VERSION)
            _migrate(connection, version)


def _migrate(connection: Connection, version: int) -> None:
    _run(connection, *(f"to_version_{later}.sql" for later in MIGRATIONS if later > version))
    if version < _TOTALS_SINCE:
        _run(connection, "totals_tables.sql")
    _run(connection, *_FOLLOWING)
    counts.count_again(connection)
    connection.execute("UPDATE catalogue_version SET version = %s", (VERSION,))


def name(connection: Connection) -> str:
    """The database's name and host, for messages."""
    return f"the database {connection.info.dbname!r} at {connection.info.host or 'the local socket'}"


def _version(connection: Connection) -> int | None:
    ((table,),) = connection.execute("SELECT to_regclass('catalogue_version')")
    if table is None:
        return None
    rows = connection.execute("SELECT version FROM catalogue_version").fetchall()
    return int(rows[0][0]) if rows else None


def _run(connection: Connection, *names: str) -> None:
    _execute(connection, *map(_statements, names))


def _execute(connection: Connection, *statements: bytes) -> None:
    try:
        for some in statements:
            connection.execute(some)
    except (errors.DuplicateTable, errors.DuplicateFunction, errors.WrongObjectType) as error:
        raise CatalogueError(
            f"{name(connection)} already holds something else ({_first_line(error)}): "
            "give the catalogue a database of its own"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise CatalogueError(
            f"{name(connection)}: {connection.info.user!r} may not create or change tables ({_first_line(error)})"
        ) from error
    except errors.DependentObjectsStillExist as error:
        raise CatalogueError(
            f"{name(connection)} cannot be migrated while views of your own use what changes "
            f"({error.diag.message_detail or _first_line(error)}): drop them, and create them again afterwards"
        ) from error


def _statements(file: str) -> bytes:
    text = (files("catalogue") / file).read_text(encoding="utf-8")
    text = text.replace("{embedding_dimensions}", str(EMBEDDING_DIMENSIONS)).replace("{dlib_embedder}", DLIB_EMBEDDER)
    return text.encode()


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

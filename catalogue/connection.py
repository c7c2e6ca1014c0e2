"""Opening the catalogue."""

from __future__ import annotations

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from catalogue import schema
from catalogue.errors import CatalogueError, CatalogueUnavailable
from settings import DatabaseSettings

_CONNECT_TIMEOUT_S = 10


def connect(database: DatabaseSettings) -> Connection:
    """A connection to a catalogue whose tables are there, in autocommit; use it as a context to close it.

    Raises CatalogueUnavailable when PostgreSQL cannot be reached, CatalogueError when it cannot hold a catalogue.
    """
    url = database.url
    if url is None:
        raise CatalogueError("no database is set: FACESTREAM_DATABASE__URL")
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S, application_name="facestream"
        )
        try:
            schema.prepare(connection)
            register_vector(connection)
        except BaseException:
            connection.close()
            raise
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise CatalogueUnavailable(f"PostgreSQL at {_place(url)} does not answer: {reason}") from error
    except psycopg.ProgrammingError as error:
        raise CatalogueError(f"PostgreSQL cannot be used by FACESTREAM_DATABASE__URL: {str(error).strip()}") from error
    return connection


def _place(url: str) -> str:
    # Not the address itself: it may hold a password.
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"

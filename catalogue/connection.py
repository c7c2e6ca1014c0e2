"""Connects to the catalogue, and creates its tables where they are missing."""

from __future__ import annotations

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from catalogue import schema
from catalogue.errors import CatalogueError, CatalogueUnavailable
from schemas.uris import CUT
from settings import DatabaseSettings
from settings.hiding import hidden

_CONNECT_TIMEOUT_S = 10


def connect(database: DatabaseSettings) -> Connection:
    """A connection in autocommit to a catalogue with its tables. As a context manager it closes itself.

    Raises CatalogueUnavailable when PostgreSQL does not answer within 10 s, CatalogueError when no database is set, the
    URL is invalid, or the database cannot hold a catalogue (`schema.prepare`).
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
        reason = _hidden(error, url)
        raise CatalogueUnavailable(f"PostgreSQL at {_host_and_port(url)} does not answer: {reason}") from error
    except psycopg.ProgrammingError as error:
        # What cannot be read may be of the password: in a URL, some of its characters have to be written as %40.
        raise CatalogueError(f"PostgreSQL cannot be used by FACESTREAM_DATABASE__URL: {_hidden(error, url)}") from error
    return connection


def _host_and_port(url: str) -> str:
    # Not the URL itself, which may hold a password.
    parameters = conninfo_to_dict(url)
    host, port = str(parameters.get("host") or "localhost"), str(parameters.get("port") or 5432)
    # Of a mistyped URL, a part of the password may be taken for either.
    return f"{host.rpartition('@')[2]}:{port if port.isdecimal() else CUT}"


def _hidden(error: Exception, url: str) -> str:
    return hidden(str(error).strip().partition("\n")[0], {"FACESTREAM_DATABASE__URL": url})


def connection_pool(database: DatabaseSettings, size: int) -> ConnectionPool:
    """Up to `size` connections as those of `connect`, for threads that read at once. Close it, or use it as a context.

    Raises what `connect` raises.
    """
    # Creates the tables where they are missing, and says in one line what is wrong with the database.
    connect(database).close()
    return ConnectionPool(
        str(database.url),
        min_size=1,
        max_size=size,
        kwargs={"autocommit": True, "application_name": "facestream"},
        configure=register_vector,
        check=ConnectionPool.check_connection,
        open=True,
    )

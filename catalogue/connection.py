"""Connects to the catalogue, and creates its tables where they are missing."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from catalogue import schema
from catalogue.errors import CatalogueError, CatalogueUnavailable
from schemas.uris import CUT
from settings import DatabaseSettings
from settings.hiding import hidden

# Where the machine of the database vanishes no packet says so. A call ends after these 20 to 30 s then, and who made it
# can stop or try again; by default it would wait for a quarter of an hour, or for ever.
_OF_EVERY_CONNECTION: Mapping[str, str | int] = {
    "application_name": "facestream",
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def connect(database: DatabaseSettings) -> Connection:
    """A connection in autocommit to a catalogue with its tables. As a context manager it closes itself.

    Raises CatalogueUnavailable when PostgreSQL does not answer within 10 s, CatalogueError when no database is set, the
    URL is invalid, or the database cannot hold a catalogue (`schema.prepare`). The URL may set other limits of time, by
    libpq's parameters.
    """
    url = database.url
    if url is None:
        raise CatalogueError("no database is set: FACESTREAM_DATABASE__URL")
    try:
        connection = psycopg.connect(_with_limits(url), autocommit=True)
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


def _with_limits(url: str) -> str:
    """The URL with limits of time, where it has not set them itself. Raises psycopg.ProgrammingError."""
    of_url = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in _OF_EVERY_CONNECTION.items() if name not in of_url})


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
        _with_limits(str(database.url)),
        min_size=1,
        max_size=size,
        kwargs={"autocommit": True},
        configure=register_vector,
        check=ConnectionPool.check_connection,
        open=True,
    )

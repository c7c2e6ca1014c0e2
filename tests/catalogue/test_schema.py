"""Creating the tables in a real PostgreSQL."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from catalogue.connection import connect, connection_pool
from catalogue.errors import CatalogueError, CatalogueUnavailable
from catalogue.reader import counts
from settings import DatabaseSettings
from tests.chaos.proxy import before_database


@pytest.fixture
def bare(database: DatabaseSettings) -> Iterator[Connection]:
    """A connection to a database without a catalogue."""
    assert database.url
    with psycopg.connect(database.url, autocommit=True) as opened:
        yield opened


def test_several_processes_may_open_an_empty_database_at_once(database: DatabaseSettings) -> None:
    def opened(_: int) -> int:
        with connect(database) as connection:
            return counts(connection).scans

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(16))) == [0] * 16


def test_opening_again_changes_nothing(database: DatabaseSettings) -> None:
    tables = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY oid"
    with connect(database) as connection:
        first = connection.execute(tables).fetchall()
    with connect(database) as connection:
        assert connection.execute(tables).fetchall() == first


def test_a_database_that_holds_something_else_is_refused_and_left_as_it_is(
    database: DatabaseSettings, bare: Connection
) -> None:
    bare.execute("CREATE TABLE faces (smile text)")
    with pytest.raises(CatalogueError, match=r'already holds something else.*"faces".*a database of its own'):
        connect(database)
    assert bare.execute("SELECT to_regclass('scans')").fetchone() == (None,)


def test_a_user_who_may_not_add_pgvector_is_refused_with_what_to_do(
    database: DatabaseSettings, bare: Connection
) -> None:
    assert database.url
    role = f"reader_{bare.info.dbname}"
    bare.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        with pytest.raises(CatalogueError, match="may not add it: have a superuser run CREATE EXTENSION vector"):
            connect(DatabaseSettings(url=make_conninfo(database.url, user=role)))
    finally:
        bare.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def limits_of(connection: Connection) -> tuple[int, int]:
    """The milliseconds that a packet may wait for an answer, and the seconds after which an idle one is asked."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as one:
        options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE)
        unanswered, idle = (one.getsockopt(socket.IPPROTO_TCP, option) for option in options)
        return unanswered, idle


def test_a_machine_that_vanishes_is_noticed_unless_the_url_has_limits_of_its_own(database: DatabaseSettings) -> None:
    assert database.url
    # That of the tests listens at a socket of this machine alone, which has no such limits.
    with before_database(Path(str(conninfo_to_dict(database.url)["host"])) / ".s.PGSQL.5432") as proxy:
        at: dict[str, str | int] = {
            "host": "127.0.0.1",
            "port": proxy.port,
            "sslmode": "disable",
            "gssencmode": "disable",
        }
        there = make_conninfo(database.url, **at)
        own = make_conninfo(there, tcp_user_timeout=5_000, application_name="own")
        name = "SELECT current_setting('application_name')"
        for url, limits, named in ((there, (20_000, 10), "facestream"), (own, (5_000, 10), "own")):
            settings = DatabaseSettings(url=url)
            with connect(settings) as connection:
                assert limits_of(connection) == limits
                assert connection.execute(name).fetchone() == (named,)
            with connection_pool(settings, 2) as pool, pool.connection() as connection:
                assert limits_of(connection) == limits
                assert connection.execute(name).fetchone() == (named,)


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    nowhere = DatabaseSettings(url="postgresql://someone:secret@127.0.0.1:1/x")
    with pytest.raises(CatalogueUnavailable, match=r"PostgreSQL at 127\.0\.0\.1:1 does not answer") as raised:
        connect(nowhere)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["not an address", None])
def test_an_invalid_url_is_refused(url: str | None) -> None:
    with pytest.raises(CatalogueError, match="FACESTREAM_DATABASE__URL"):
        connect(DatabaseSettings(url=url))

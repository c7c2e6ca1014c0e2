"""A real PostgreSQL for the session, and a database of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from catalogue.connection import connect
from local.services import services
from settings import DatabaseSettings, Settings


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the server's own database."""
    # Not in pytest's folder: run as root, the server has a user of its own, and each pytest that starts on this
    # machine shuts that folder to all other users.
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        settings = Settings(data=Path(folder), database=DatabaseSettings())
        with services(settings, kafka=False, command="pytest") as running:
            assert running.database.url
            yield running.database.url


@pytest.fixture
def database(server: str) -> Iterator[DatabaseSettings]:
    """An empty database, gone after the test."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield DatabaseSettings(url=make_conninfo(server, dbname=name))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def connection(database: DatabaseSettings) -> Iterator[Connection]:
    """A catalogue without rows."""
    with connect(database) as opened:
        yield opened

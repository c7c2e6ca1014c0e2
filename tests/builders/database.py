"""A PostgreSQL server, and databases on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from local.services import services
from settings import DatabaseSettings, Settings


@contextmanager
def database_server() -> Iterator[str]:
    """A real PostgreSQL; gives the address of its own database."""
    # Not in pytest's folder: run as root, the server has a user of its own, and each pytest that starts on this
    # machine shuts that folder to all other users.
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        settings = Settings(data=Path(folder), database=DatabaseSettings())
        with services(settings, kafka=False, command="pytest") as running:
            yield str(running.database.url)


@contextmanager
def empty_database(server: str) -> Iterator[DatabaseSettings]:
    """A new database on this server, gone at the end."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield DatabaseSettings(url=make_conninfo(server, dbname=name))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

"""Opening an archive for a command."""

from __future__ import annotations

import pytest

from catalogue.errors import CatalogueUnavailable
from cli.archive import connected
from settings import DatabaseSettings


def test_a_database_that_stops_during_a_command_ends_it_in_one_line(database: DatabaseSettings) -> None:
    with (
        pytest.raises(CatalogueUnavailable, match=r"^PostgreSQL does not answer: [^\n]+$"),
        connected(database) as connection,
    ):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

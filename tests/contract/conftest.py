"""The database of the catalogue's tests."""

from tests.catalogue.conftest import connection, database, server  # noqa: F401 - fixtures

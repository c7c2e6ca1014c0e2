"""Tables and settings are those that were recorded; events and topics are in docs/contract (test_documents.py).

Record a change that is meant again: `make contract` (see CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from catalogue.connection import connect
from local.services import services
from settings import DatabaseSettings, Settings
from tests.builders.recorded import RECORDED, recorded, tables


def settings() -> dict[str, Any]:
    """The settings with their defaults."""
    return Settings.model_construct().model_dump(mode="json")


def test_the_settings_are_those_that_were_recorded() -> None:
    assert settings() == recorded("settings")


def test_the_tables_are_those_that_were_recorded(connection: Connection) -> None:
    assert tables(connection) == recorded("tables")


def _record(name: str, value: Any) -> None:  # noqa: ANN401
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    (RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    _record("settings", settings())
    with (
        tempfile.TemporaryDirectory(prefix="facestream-") as folder,
        services(Settings(data=Path(folder)), kafka=False, command="record") as running,
    ):
        assert running.database.url
        with psycopg.connect(running.database.url, autocommit=True) as server:
            server.execute("CREATE DATABASE contract")
        with connect(DatabaseSettings(url=make_conninfo(running.database.url, dbname="contract"))) as opened:
            _record("tables", tables(opened))

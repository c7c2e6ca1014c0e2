"""The command, called as `facestream` calls it, on a catalogue of the test's own in a real PostgreSQL."""

from __future__ import annotations

import sys

import pytest
from psycopg import Connection

from cli.main import main
from schemas.base import Event
from schemas.dead_letters import DeadLetter
from schemas.topics import Tombstone
from settings import DatabaseSettings
from tests.builders.catalogue import WriteMessages, write_messages
from tests.builders.commands import Ended, Facestream


@pytest.fixture
def facestream(
    database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Facestream:
    """Calls the command with these arguments."""
    monkeypatch.setenv("FACESTREAM_DATABASE__URL", str(database.url))

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["facestream", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return call


@pytest.fixture
def write(connection: Connection) -> WriteMessages:
    """Writes messages of a topic to the catalogue."""

    def writing(topic: str, *messages: Event | Tombstone | DeadLetter) -> None:
        write_messages(connection, topic, *messages)

    return writing

"""The command, called as `facestream` calls it, on a catalogue of the test's own in a real PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from psycopg import Connection

from cli.main import main
from schemas.base import Event
from schemas.dead_letters import DeadLetter
from schemas.topics import Tombstone
from settings import DatabaseSettings
from tests.catalogue import said
from tests.catalogue.conftest import connection, database, server  # noqa: F401 - fixtures


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: object
    out: str
    err: str


Facestream = Callable[..., Ended]
Say = Callable[..., None]


@pytest.fixture
def facestream(
    database: DatabaseSettings,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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
def say(connection: Connection) -> Say:  # noqa: F811
    """Says messages on a topic, as far as the catalogue is concerned."""

    def saying(topic: str, *messages: Event | Tombstone | DeadLetter) -> None:
        said.say(connection, topic, *messages)

    return saying

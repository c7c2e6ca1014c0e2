"""The catalogue consumer: writes the topics to PostgreSQL. The tables are its state, and hold its offsets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import psycopg

from catalogue import reader, writer
from catalogue.connection import connect
from catalogue.errors import CatalogueError, CatalogueUnavailable
from consumers import stages
from errors import Fatal, Retriable
from schemas.topics import ASSIGNMENTS, CLUSTERS
from settings import DatabaseSettings, Settings
from stream.records import Positions, Received
from stream.sink import drain

GROUP = stages.CATALOGUE

TOPICS = stages.STAGES[GROUP]

_MAX_RECORDS = 500

Result = TypeVar("Result")


class CatalogueSink(AbstractContextManager["CatalogueSink"]):
    """The tables as a sink. It connects on the first call, and again after the connection was lost."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def positions(self) -> Positions:
        """The offsets to read next, as the tables hold them. Raises Retriable and Fatal."""
        return self._with_connection(lambda connection: reader.offsets(connection, GROUP))

    def write(self, received: Sequence[Received], positions: Positions) -> None:
        """Write records and the offsets after them, in one transaction. Raises Retriable and Fatal."""
        self._with_connection(lambda connection: writer.write(connection, received, positions))

    def _with_connection(self, call: Callable[[psycopg.Connection], Result]) -> Result:
        try:
            if self._connection is None:
                self._connection = connect(self._database)
            return call(self._connection)
        except (CatalogueUnavailable, psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._close()
            raise Retriable(f"the catalogue is away: {_first_line(error)}") from error
        except (CatalogueError, psycopg.Error) as error:
            raise Fatal(f"the catalogue cannot be written: {_first_line(error)}") from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()


def run(settings: Settings, member: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    """Run until `stop` is set. Raises errors.Fatal."""
    with CatalogueSink(settings.database) as sink:
        drain(
            settings.kafka,
            GROUP,
            member,
            TOPICS,
            sink,
            # Invalid records of `scans` are reported by detect, of `faces` by index, of `labels` by cluster.
            reports=(ASSIGNMENTS, CLUSTERS),
            max_records=_MAX_RECORDS,
            stop=stop,
            clock=clock,
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

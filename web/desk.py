"""What every page of the desk works with: the catalogue, the decisions, and who is asking.

It holds no state of its own: what it has in memory is read from Kafka and PostgreSQL, and can be read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from catalogue import own_vectors, reader
from catalogue.connection import connection_pool
from decisions.identities import Person
from errors import FacestreamError
from models.descriptions import euclidean_reach
from producers.decisions import DecisionWriter
from settings import Settings
from web.access_users import User
from web.board import Board
from web.kept import Kept

log = structlog.get_logger()

Result = TypeVar("Result")

# As many as can be answered at once on a few cores; further requests wait for a connection.
_CONNECTIONS = 8

# What others decide is on the pages, and in what they are warned of, after this time.
_FOLLOW_EVERY_S = 0.25

_NOBODY = User("", frozenset())

MOST_TILES = 600
"""The most faces that one page shows."""


class Desk:
    """The open archive. A context manager."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        """Connect to PostgreSQL and Kafka. Raises FacestreamError where one of them does not answer."""
        self.settings = settings
        clustering, networks = settings.clustering, settings.models
        self._radius = euclidean_reach(
            clustering.distance, clustering.eps_max, networks.embedder, networks.embedder_path
        )
        self.now = now
        self.pool: ConnectionPool = connection_pool(settings.database, _CONNECTIONS)
        self.writer = DecisionWriter(settings.kafka, now)
        self.ending = threading.Event()
        self.kept = Kept()
        self.board = Board(settings.kafka, lambda: self.read(reader.counts), now)
        self._follower = threading.Thread(target=self._follow, name="labels", daemon=True)

    def __enter__(self) -> Self:
        self.writer.__enter__()
        self._follower.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ending.set()
        self._follower.join()
        self.kept.close()
        self.board.close()
        self.writer.__exit__(kind, error, traceback)
        self.pool.close()

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """What a query returns. Raises psycopg.OperationalError where PostgreSQL does not answer."""
        with self.pool.connection() as connection:
            return query(connection)

    async def ask(self, query: Callable[[Connection], Result]) -> Result:
        """The same from a coroutine, which others run beside."""
        return await run_in_threadpool(self.read, query)

    def radius(self, connection: Connection) -> float:
        """How far from a face others are looked for, by Euclidean distance, which is the catalogue's."""
        of_live = own_vectors.radius(connection)
        return self._radius if of_live is None else of_live

    def people(self) -> Mapping[str, Person]:
        """Everybody who is named now, by label id."""
        with self.writer.reading() as decisions:
            return decisions.people()

    def name(self, label_id: str) -> str:
        """The name of a person, also by a label id that was merged; the label id where nobody is called so."""
        with self.writer.reading() as decisions:
            person = decisions.person(label_id)
        return person.name if person else label_id

    def _follow(self) -> None:
        away = False
        while not self.ending.wait(_FOLLOW_EVERY_S):
            try:
                self.writer.refresh()
                away = False
            except FacestreamError as error:
                if not away:
                    log.warning("decisions of others are not read", reason=str(error))
                away = True


def desk_of(request: Request) -> Desk:
    """The desk that answers this request."""
    desk: Desk = request.app.state.desk
    return desk


def user_of(request: Request) -> User:
    """Who is asking; nobody, with no role, where a request was refused before that was known."""
    user: User | None = getattr(request.state, "user", None)
    return user or _NOBODY

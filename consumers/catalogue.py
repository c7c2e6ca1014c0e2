"""The catalogue consumer: writes the topics to PostgreSQL. The tables are its state, and hold its offsets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TypeVar

import psycopg
import structlog
from kafka.errors import KafkaError

from catalogue import own_vectors, reader, rows, vector_index, writer
from catalogue.connection import connect
from catalogue.embedder import use_embedder
from catalogue.errors import CatalogueError, CatalogueUnavailable
from consumers.embedders import check_most_are_of
from consumers.references import space_of_settings
from errors import Fatal, Retriable
from models.descriptions import DLIB_SPACE, Space
from schemas.codec import made_at
from schemas.faces import ScanAnalysed
from schemas.generations import FIRST
from schemas.topics import DEAD_LETTERS, FACES, GENERATIONS, LABELS, of_generation
from settings import DatabaseSettings, Settings
from stream import stages
from stream.continuity import Checkpoints
from stream.generations import group_of, topics_of
from stream.reading import end_of
from stream.records import Positions, Received, Rejected
from stream.sink import drain
from telemetry import metrics

log = structlog.get_logger()

GROUP = stages.CATALOGUE

TOPICS = stages.STAGES[GROUP]

_MAX_RECORDS = 500

Result = TypeVar("Result")


class CatalogueSink(AbstractContextManager["CatalogueSink"]):
    """The tables as a sink, with embeddings in `space`.

    It connects on the first call, and again after the connection was lost. faces_end: asks for the end of the topic
    `faces`. check: is called before embeddings of another embedder are replaced by those of `space`; it may raise.
    consumer: the group; the one of another generation than the first has its clusters alone. own: the generation whose
    embeddings it writes, and how many numbers these have, where it has an embedder of its own; faces_end is that of
    its topic then.
    """

    def __init__(
        self,
        database: DatabaseSettings,
        faces_end: Callable[[], Positions],
        clock: Callable[[], datetime],
        space: Space = DLIB_SPACE,
        check: Callable[[], None] = lambda: None,
        consumer: str = GROUP,
        own: tuple[str, int] | None = None,
    ) -> None:
        self._database = database
        self._faces_end = faces_end
        self._clock = clock
        self._space = space
        self._check = check
        self._consumer = consumer
        self._own = own
        self._connection: psycopg.Connection | None = None
        self._vectors_indexed = False

    def checkpoints(self) -> Checkpoints:
        """What the tables have of each partition. Raises Retriable and Fatal."""
        self._vectors_indexed = False
        return self._with_connection(self._checkpoints)

    def tend(self) -> None:
        """Leave the vector index out before a large refill, and build it at the end. Raises Retriable and Fatal."""
        if not self._vectors_indexed and (self._own or self._consumer == GROUP):
            self._with_connection(self._tend_vector_index)

    def _tend_vector_index(self, connection: psycopg.Connection) -> None:
        try:
            ends = self._faces_end()
        except KafkaError as error:
            raise Retriable(f"the broker is away: {error!r}") from error
        stored = reader.offsets(connection, self._consumer)
        behind = sum(end - stored.get(partition, 0) for partition, end in ends.items())
        table = own_vectors.table_of(self._own[0]) if self._own else "faces"
        self._vectors_indexed = vector_index.tend(connection, behind, table)

    def write(
        self,
        received: Sequence[Received],
        since: Positions,
        checkpoints: Checkpoints,
        refuse: Callable[[Rejected], None],
    ) -> bool:
        """Write records and the offsets after them: see `stream.sink.Sink`. Raises Retriable and Fatal."""
        places = {(one.topic, one.partition, one.offset): one for one in received}

        def refused(one: rows.Received, reason: str) -> None:
            refuse(Rejected(places[one.topic, one.partition, one.offset], reason))

        is_taken = self._with_connection(
            lambda connection: writer.write_since(connection, received, since, checkpoints, self._consumer, refused)
        )
        if is_taken:
            self._measure(received)
        return is_taken

    def _measure(self, written: Sequence[Received]) -> None:
        now = self._clock()
        for one in written:
            made = made_at(one.record)
            if made is not None:
                metrics.event_to_catalogue.labels(one.topic).observe((now - made).total_seconds())
            if isinstance(one.message, ScanAnalysed):
                metrics.scan_to_catalogue.observe((now - one.message.published_at).total_seconds())

    def drop(self, topic: str, had: Checkpoints, beginning: Checkpoints, why: str) -> None:
        """Empty the tables of a topic, which is read from its beginning on. Raises Retriable and Fatal.

        Not those of decisions, if there are any: nothing else may have them.
        """
        if topic == LABELS.name and self._with_connection(reader.has_decisions):
            raise Fatal(
                f"{why}, and the database may have the only copy of some decisions: restore the topic from a backup; "
                "or, to go on with what the topic has, delete them from the database (TRUNCATE decisions)"
            )
        self._with_connection(lambda connection: writer.drop(connection, topic, had, beginning, self._consumer))

    def _checkpoints(self, connection: psycopg.Connection) -> Checkpoints:
        space = self._space
        if self._own is not None:
            own_vectors.create(connection, *self._own)
        if self._consumer == GROUP and use_embedder(connection, space.embedder, space.dimension, GROUP, self._check):
            log.warning("all faces are read again, for the embeddings of another embedder", embedder=space.embedder)
        return reader.checkpoints(connection, self._consumer)

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


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str = FIRST,
    dimension: int | None = None,
) -> None:
    """Run until `stop` is set: for the archive with its first generation, or for the clusters of another generation.

    dimension: how many numbers the embeddings of a generation have that has an embedder of its own. Raises
    errors.Fatal.
    """
    group = group_of(GROUP, generation)
    faces = FACES if dimension is None else of_generation(FACES, generation)
    own = None if dimension is None else (generation, dimension)
    topics = TOPICS if generation == FIRST else (*([faces] if own else []), *topics_of(generation))
    space = space_of_settings(settings)
    check = partial(check_most_are_of, settings.kafka, space)
    faces_end = partial(end_of, settings.kafka, faces)
    with CatalogueSink(settings.database, faces_end, clock, space, check, group, own) as sink:
        drain(
            settings.kafka,
            group,
            member,
            topics,
            sink,
            # Invalid records of `scans` are reported by detect, of `faces` by index, of `labels` by cluster.
            reports=(GENERATIONS, DEAD_LETTERS, *topics_of(generation)),
            max_records=_MAX_RECORDS,
            stop=stop,
            clock=clock,
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

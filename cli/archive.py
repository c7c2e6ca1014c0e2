"""Opening an archive for one command: its services, topics and catalogue. Errors of the drivers become one line.

Drivers are imported where they are used, since a command seldom needs both and each takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from errors import Fatal, UserError
from local.services import services
from settings import DatabaseSettings, KafkaSettings, Settings

if TYPE_CHECKING:
    from psycopg import Connection


@contextmanager
def open_archive(
    settings: Settings, command: str, *, database: bool = True, existing: bool = True
) -> Iterator[Settings]:
    """The broker with its topics, and the database unless `database` is false; yields settings with their addresses.

    existing: refuse a folder without an archive. Raises FacestreamError.
    """
    from kafka.cluster import ClusterMetadata

    from stream.topics import ensure_topics

    # A client of kafka-python waits this long (100 by default) between connecting and reading the metadata of a topic.
    # It has no option for it.
    ClusterMetadata.DEFAULT_CONFIG["retry_backoff_ms"] = 10
    with (
        services(settings, database=database, existing=existing, command=command) as running,
        kafka_errors_in_one_line(running.kafka),
    ):
        ensure_topics(running.kafka)
        yield running


@contextmanager
def kafka_errors_in_one_line(kafka: KafkaSettings) -> Iterator[None]:
    """Raise a FacestreamError instead of Kafka's errors."""
    from kafka.errors import BrokerResponseError, KafkaError

    from stream.failures import is_fenced

    try:
        yield
    except KafkaError as error:
        if is_fenced(error):
            line = "another command writes the same at this moment: give this one again when that one has ended"
            raise UserError(line) from error
        broker = "the Kafka broker" + (f" at {kafka.bootstrap_servers}" if kafka.bootstrap_servers else "")
        # What it answers for good is a refusal, such as of a right that the user has not.
        is_refused = isinstance(error, BrokerResponseError) and not error.retriable
        reason = " ".join(str(error).split())
        raise Fatal(f"{broker} {'refuses it' if is_refused else 'does not answer'}: {reason}") from error


@contextmanager
def open_catalogue(settings: Settings, command: str) -> Iterator[Connection]:
    """The catalogue of an existing archive, without Kafka. Raises FacestreamError."""
    with (
        services(settings, kafka=False, existing=True, command=command) as running,
        connected(running.database) as connection,
    ):
        yield connection


@contextmanager
def connected(database: DatabaseSettings) -> Iterator[Connection]:
    """A connection to the catalogue. Raises CatalogueError, also if PostgreSQL stops during the command."""
    from psycopg import OperationalError

    from catalogue.connection import connect
    from catalogue.errors import CatalogueUnavailable

    with connect(database) as connection:
        try:
            yield connection
        except OperationalError as error:
            raise CatalogueUnavailable(f"PostgreSQL does not answer: {str(error).strip().splitlines()[0]}") from error

"""The catalogue consumer between a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg import Connection

from catalogue import decisions, reader
from consumers import catalogue
from errors import Fatal, Retriable
from schemas.base import Event
from schemas.codec import encode
from schemas.topics import ASSIGNMENTS, FACES, SCANS, Record, Tombstone, topic_of
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.lag import lag_reader
from tests.catalogue.said import THEN, analysed, assigned, face, published
from tests.decisions.test_holding import named, undone


@pytest.fixture
def settings(kafka: KafkaSettings, database: DatabaseSettings) -> Settings:
    return Settings(kafka=kafka, database=database)


def say(kafka: KafkaSettings, messages: Sequence[Event | Tombstone]) -> None:
    producer = clients.producer(kafka)
    for message in messages:
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        record = encode(message, event_id=uuid4().hex, time=THEN)
        producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))
    producer.close()


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(catalogue.run, settings, "0", stop, lambda: datetime.now(UTC))
        try:
            yield
        finally:
            stop.set()
        run.result(timeout=30)


def wait_until_done(settings: Settings, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    with lag_reader(settings.kafka) as lags:
        while behind := lags.lags({catalogue.GROUP: catalogue.TOPICS})[catalogue.GROUP]:
            assert time.monotonic() < deadline, f"still {behind} records behind"
            time.sleep(0.1)


def cut_off(connection: Connection, within_s: float = 30) -> None:
    """End the consumer's connection, as soon as it has one."""
    deadline = time.monotonic() + within_s
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while not connection.execute(f"SELECT pg_terminate_backend(pid) {others}").rowcount:
        assert time.monotonic() < deadline, "the consumer does not connect again"
        time.sleep(0.02)


def test_all_topics_reach_the_tables_over_restarts_and_lost_connections(
    settings: Settings, connection: Connection
) -> None:
    kafka = settings.kafka
    scans = [f"s{number}" for number in range(300)]
    say(kafka, [assigned(f"f{scan_id}", scan_id, "fs0") for scan_id in scans])
    with running(settings):
        say(kafka, [analysed(scan_id, face(f"f{scan_id}")) for scan_id in scans])
        say(kafka, [published(scan_id) for scan_id in scans])
        # It connects again only when it has something to write, so there is always something.
        for number in range(3):
            cut_off(connection)
            say(kafka, [published(f"s{number}")])
            time.sleep(0.3)
        wait_until_done(settings)
    say(kafka, [named(1, "fs2", "grace"), named(2, "fs3", "eileen"), undone(3, "002")])
    say(kafka, [Tombstone(SCANS, "s1"), Tombstone(FACES, "s1"), Tombstone(ASSIGNMENTS, "fs1")])
    garbage = Record(b"x", b"not json", (("ce_specversion", b"1.0"), ("ce_type", b"facestream.face.assigned.v1")))
    producer = clients.producer(kafka)
    producer.send(ASSIGNMENTS.name, value=garbage.value, key=garbage.key, headers=list(garbage.headers))
    producer.close()
    with running(settings):
        wait_until_done(settings)
        # Its own dead letter was written while the topics were read to their end.
        time.sleep(1)
        wait_until_done(settings)
    assert reader.counts(connection) == reader.Counts(
        scans=299, analysed=299, dead_scans=0, faces=299, clusters=1, noise=0, named=0, dead_letters=1
    )
    (cluster,) = reader.clusters(connection)
    assert (cluster.size, cluster.scans) == (299, 299)
    assert [it.label_id for it in decisions.people(connection)] == ["grace"]
    (letter,) = reader.dead_letters(connection)
    assert (letter.topic, letter.key, letter.consumer) == ("assignments", "x", "catalogue")


def test_a_new_database_is_filled_from_the_beginning_whatever_kafka_was_told(
    settings: Settings, connection: Connection
) -> None:
    say(settings.kafka, [published("again")])
    with running(settings):
        wait_until_done(settings)
    filled = reader.scan(connection, "again")
    connection.execute("TRUNCATE scans, offsets")
    with running(settings):
        deadline = time.monotonic() + 30
        while reader.scan(connection, "again") != filled:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_database_that_is_away_is_waited_for() -> None:
    with catalogue.CatalogueSink(DatabaseSettings(url="postgresql://postgres@127.0.0.1:1/x")) as sink:
        with pytest.raises(Retriable, match=r"the catalogue is away: PostgreSQL at 127\.0\.0\.1:1 does not answer"):
            sink.positions()
        with pytest.raises(Retriable):
            sink.write([], {("scans", 0): 1})


def test_a_database_that_cannot_hold_a_catalogue_stops_the_consumer(
    database: DatabaseSettings, connection: Connection
) -> None:
    connection.execute("UPDATE catalogue_version SET version = 99")
    with (
        catalogue.CatalogueSink(database) as sink,
        pytest.raises(Fatal, match=r"the catalogue cannot be written: the database .* holds a catalogue of version 99"),
    ):
        sink.positions()

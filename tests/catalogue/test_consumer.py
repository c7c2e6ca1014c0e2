"""The catalogue consumer between a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import time

import pytest
from psycopg import Connection

from catalogue import decisions, reader
from consumers import catalogue
from errors import Fatal, Retriable
from schemas.topics import ASSIGNMENTS, FACES, SCANS, Record, Tombstone
from settings import DatabaseSettings, KafkaSettings, Settings
from tests.builders.catalogue import analysed, assigned, face, published
from tests.builders.clock import wait_until
from tests.builders.decisions import named, undone
from tests.builders.kafka import Stages, publish, publish_record, running, wait_until_done

STAGES: Stages = {catalogue.GROUP: catalogue.TOPICS}


@pytest.fixture
def settings(kafka: KafkaSettings, database: DatabaseSettings) -> Settings:
    return Settings(kafka=kafka, database=database)


def cut_off(connection: Connection, within_s: float = 30) -> None:
    """End the consumer's connection, as soon as it has one."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_until(
        lambda: connection.execute(f"SELECT pg_terminate_backend(pid) {others}").rowcount,
        "the consumer does not connect again",
        within_s,
        every_s=0.02,
    )


def test_all_topics_reach_the_tables_over_restarts_and_lost_connections(
    settings: Settings, connection: Connection
) -> None:
    kafka = settings.kafka
    scans = [f"s{number}" for number in range(300)]
    publish(kafka, [assigned(f"f{scan_id}", scan_id, "fs0") for scan_id in scans])
    with running(settings, catalogue.run):
        publish(kafka, [analysed(scan_id, face(f"f{scan_id}")) for scan_id in scans])
        publish(kafka, [published(scan_id) for scan_id in scans])
        # It connects again only when it has something to write, so there is always something.
        for number in range(3):
            cut_off(connection)
            publish(kafka, [published(f"s{number}")])
            time.sleep(0.3)
        wait_until_done(settings.kafka, STAGES)
    publish(kafka, [named(1, "fs2", "grace"), named(2, "fs3", "eileen"), undone(3, "002")])
    publish(kafka, [Tombstone(SCANS, "s1"), Tombstone(FACES, "s1"), Tombstone(ASSIGNMENTS, "fs1")])
    garbage = Record(b"x", b"not json", (("ce_specversion", b"1.0"), ("ce_type", b"facestream.face.assigned.v1")))
    publish_record(kafka, ASSIGNMENTS, garbage)
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)
        # Its own dead letter was written while the topics were read to their end.
        time.sleep(1)
        wait_until_done(settings.kafka, STAGES)
    assert reader.counts(connection) == reader.Counts(
        scans=299, analysed=299, dead_scans=0, faces=299, clusters=1, noise=0, named=0, dead_letters=1
    )
    (cluster,) = reader.clusters(connection)
    assert (cluster.size, cluster.scans) == (299, 299)
    assert [it.label_id for it in decisions.people(connection)] == ["grace"]
    (letter,) = reader.dead_letters(connection)
    assert (letter.topic, letter.key, letter.consumer) == ("assignments", "x", "catalogue")


def test_a_new_database_is_filled_from_the_beginning_whatever_was_committed_to_kafka(
    settings: Settings, connection: Connection
) -> None:
    publish(settings.kafka, [published("again")])
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)
    filled = reader.scan(connection, "again")
    connection.execute("TRUNCATE scans, analyses, faces, assignments, dead_letters, offsets, row_counts")
    with running(settings, catalogue.run):
        wait_until(lambda: reader.scan(connection, "again") == filled, "the scan does not come back")


def test_an_unavailable_database_is_waited_for() -> None:
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

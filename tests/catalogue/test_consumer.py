"""The catalogue consumer between a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import closing
from functools import partial

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from psycopg import Connection

from catalogue import dead_letters, decisions, reader, vector_index, writer
from consumers import catalogue
from errors import Fatal, Retriable
from producers.dead_letters import Letter, retry, with_originals
from schemas.topics import ASSIGNMENTS, CLUSTERS, DEAD_LETTERS, FACES, LABELS, SCANS, Checkpoint, Record, Tombstone
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients, topic_states
from stream.lag import lag_reader
from stream.reading import end_of, undecoded_until
from tests.builders.catalogue import StreamRecord, analysed, assigned, face, published
from tests.builders.clock import now, wait_until
from tests.builders.decisions import named, undone
from tests.builders.kafka import Stages, publish, publish_foreign, publish_record, recreate, running, wait_until_done
from tests.builders.transforms import dead_letters as dead_letters_of

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
    (letter,) = dead_letters.stored(connection)
    assert (letter.topic, letter.key, letter.consumer) == ("assignments", "x", "catalogue")


def test_a_record_with_neither_key_nor_value_is_a_dead_letter_and_can_be_sent_again(
    settings: Settings, connection: Connection
) -> None:
    kafka = settings.kafka
    nothing = Record(None, None, (("x", b"1"),))
    places = [place for topic in (CLUSTERS, DEAD_LETTERS) for place in publish_foreign(kafka, topic, [nothing])]
    publish(kafka, [published("after nothing")])
    with running(settings, catalogue.run):
        wait_until_done(kafka, STAGES)
        assert reader.scan(connection, "after nothing")
        wait_until(lambda: len(letters_at(connection, places)) == 2, "its dead letters do not come back")
    whole = with_originals(kafka, [Letter(*place, catalogue.GROUP, now()) for place in places])
    assert [letter.original for letter in whole] == [nothing, nothing]
    assert [one.result for one in retry(kafka, whole, now)] == ["retried", "left"]
    *_, last = undecoded_until(kafka, end_of(kafka, CLUSTERS))
    assert (last.key, last.value, dict(last.headers)["retry_attempts"]) == (None, None, b"1")


def letters_at(connection: Connection, places: Collection[tuple[str, int, int]]) -> list[dead_letters.StoredDeadLetter]:
    return [it for it in dead_letters.stored(connection) if (it.topic, it.partition, it.offset) in places]


def test_a_dead_letter_that_its_topic_does_not_take_whole_is_one_by_its_beginning(
    settings: Settings, connection: Connection
) -> None:
    with closing(clients.admin(settings.kafka)) as admin:
        limit = {"max.message.bytes": "1000000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, DEAD_LETTERS.name, configs=limit)])
        try:
            garbage = [Record(key, b"[" * 2_000_000) for key in (b"large-1", b"large-2")]
            places = publish_foreign(settings.kafka, ASSIGNMENTS, garbage)
            with running(settings, catalogue.run):
                wait_until(lambda: len(letters_at(connection, places)) == 2, "there are no dead letters")
        finally:
            topic_states.apply(admin, topic_states.topic_states(admin, [DEAD_LETTERS]))
    cut = {letter.original.key: letter.cut for letter in dead_letters_of(settings.kafka, catalogue.GROUP)}
    assert all((found := cut[key]) and found.size == 2_000_000 for key in (b"large-1", b"large-2"))


def test_a_new_database_is_filled_from_the_beginning_whatever_was_committed_to_kafka(
    settings: Settings, connection: Connection
) -> None:
    publish(settings.kafka, [published("again")])
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)
    filled = reader.scan(connection, "again")
    connection.execute("TRUNCATE scans, analyses, faces, all_assignments, dead_letters, offsets, row_counts")
    with running(settings, catalogue.run):
        wait_until(lambda: reader.scan(connection, "again") == filled, "the scan does not come back")


def test_an_unavailable_database_is_waited_for() -> None:
    with catalogue.CatalogueSink(DatabaseSettings(url="postgresql://postgres@127.0.0.1:1/x"), dict, now) as sink:
        with pytest.raises(Retriable, match=r"the catalogue is away: PostgreSQL at 127\.0\.0\.1:1 does not answer"):
            sink.checkpoints()
        with pytest.raises(Retriable):
            sink.write([], {}, {("scans", 0): Checkpoint(1)}, print)


def test_a_database_that_cannot_hold_a_catalogue_stops_the_consumer(
    database: DatabaseSettings, connection: Connection
) -> None:
    connection.execute("UPDATE catalogue_version SET version = 99")
    with (
        catalogue.CatalogueSink(database, dict, now) as sink,
        pytest.raises(Fatal, match=r"the catalogue cannot be written: the database .* holds a catalogue of version 99"),
    ):
        sink.checkpoints()


def fill(settings: Settings, prefix: str, number: int) -> None:
    scans = [f"{prefix}{number}" for number in range(number)]
    publish(settings.kafka, [published(scan_id) for scan_id in scans])
    publish(settings.kafka, [analysed(scan_id, face(f"f{scan_id}")) for scan_id in scans])
    publish(settings.kafka, [assigned(f"f{scan_id}", scan_id, f"f{prefix}0") for scan_id in scans])


def scan_ids(connection: Connection) -> set[str]:
    return {scan_id for (scan_id,) in connection.execute("SELECT scan_id FROM scans")}


@pytest.mark.parametrize("while_it_runs", [True, False])
def test_all_scans_of_a_topic_that_is_recreated_arrive_and_those_before_are_gone(
    settings: Settings, connection: Connection, *, while_it_runs: bool
) -> None:
    recreate(settings.kafka, SCANS, FACES, ASSIGNMENTS)
    with running(settings, catalogue.run):
        fill(settings, "before", 30)
        wait_until_done(settings.kafka, STAGES)
        assert len(scan_ids(connection)) == 30
        if while_it_runs:
            recreate(settings.kafka, SCANS)
            publish(settings.kafka, [published(f"new{number}") for number in range(20)])
            wait_until(lambda: len(scan_ids(connection)) == 20, "scans do not arrive", 60)
            wait_until_done(settings.kafka, STAGES)
    if not while_it_runs:
        recreate(settings.kafka, SCANS)
        publish(settings.kafka, [published(f"new{number}") for number in range(20)])
        with lag_reader(settings.kafka) as lags:
            assert lags.lags(STAGES) == {catalogue.GROUP: 20}
        with running(settings, catalogue.run):
            wait_until_done(settings.kafka, STAGES)
            wait_until(lambda: len(scan_ids(connection)) == 20, "scans do not arrive", 60)
    assert scan_ids(connection) == {f"new{number}" for number in range(20)}
    counts = reader.counts(connection)
    assert (counts.scans, counts.analysed, counts.faces, counts.clusters) == (20, 0, 30, 1)


def test_rows_of_records_that_a_topic_has_lost_are_gone(
    settings: Settings, connection: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    recreate(settings.kafka, SCANS, FACES, ASSIGNMENTS)
    fill(settings, "kept", 10)
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)
    connection.execute("INSERT INTO analyses SELECT 'lost', 99, sha256, 1, 1, provenance FROM analyses LIMIT 1")
    connection.execute("UPDATE offsets SET next_offset = 100 WHERE topic = 'faces'")
    with running(settings, catalogue.run):
        wait_until(lambda: connection.execute("SELECT FROM analyses").rowcount == 10, "the row is still there")
        publish(settings.kafka, [analysed("kept0", face("again"))])
        wait_until(lambda: connection.execute("SELECT FROM faces WHERE face_id = 'again'").rowcount == 1, "not read")
    out = capfd.readouterr().out
    assert "the topic faces has lost records that were read (partition 0 ends at 10, read up to 100)" in out
    assert "have all scans analysed again (facestream reanalyse --all)" in out


def test_decisions_are_kept_where_their_topic_has_lost_them(settings: Settings, connection: Connection) -> None:
    publish(settings.kafka, [named(1, "f", "grace")])
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)
    recreate(settings.kafka, LABELS)
    line = (
        "the topic labels was deleted and recreated since it was read, and the database may have the only copy of some "
        "decisions: restore the topic from a backup; or, to go on .* delete them from the database"
    )
    with pytest.raises(Fatal, match=line), running(settings, catalogue.run) as (run,):
        run.result(timeout=60)
    assert connection.execute("SELECT FROM decisions WHERE decision_id = '001'").rowcount == 1
    # Those that nobody has lost are no reason to stop.
    connection.execute("TRUNCATE decisions")
    with running(settings, catalogue.run):
        wait_until_done(settings.kafka, STAGES)


def test_a_member_writes_nothing_behind_what_another_has_made_the_tables_drop(connection: Connection) -> None:
    def write(offset: int, since: Mapping[tuple[str, int], int]) -> bool:
        record = StreamRecord("scans", 1, offset, published(f"s{offset}"))
        checkpoints = {("scans", 1): Checkpoint(offset + 1, "old")}
        return writer.write_since(connection, [record], since, checkpoints, "catalogue", lambda *_: None)

    assert write(4, {("scans", 1): 4})
    had = reader.checkpoints(connection, "catalogue")
    assert had == {("scans", 1): Checkpoint(5, "old")}
    beginning = {("scans", number): Checkpoint(0, "new") for number in range(2)}
    writer.drop(connection, "scans", {}, beginning)
    assert scan_ids(connection) == {"s4"}, "somebody else was here"
    writer.drop(connection, "scans", had, beginning)
    assert reader.checkpoints(connection, "catalogue") == beginning
    assert not write(5, {("scans", 1): 5})
    assert scan_ids(connection) == set()
    assert write(0, {("scans", 1): 0})


def has_vector_index(connection: Connection) -> bool:
    return connection.execute("SELECT to_regclass('faces_near') IS NOT NULL").fetchone() == (True,)


def test_a_large_refill_leaves_the_vector_index_out_and_a_killed_one_is_finished_by_the_next_start(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vector_index, "_MANY", 50)
    prefix = "refill"
    fill(settings, prefix, 60)
    read = reader.offsets(connection, catalogue.GROUP)
    # As if the process had been killed while it reads: the index is left out, and little is read.
    with catalogue.CatalogueSink(settings.database, partial(end_of, settings.kafka, FACES), now) as sink:
        assert sink.checkpoints().keys() == read.keys() == set()
        assert has_vector_index(connection)
        for _ in range(2):
            sink.tend()
            assert not has_vector_index(connection)
    with running(settings, catalogue.run):
        wait_until(lambda: has_vector_index(connection), "the index is not built")
        assert reader.counts(connection).faces >= 60
    assert reader.similar(connection, f"f{prefix}1", 3)
    assert "the vector index is left out" in capfd.readouterr().out
    # A start that has little to read leaves it as it is, and builds it where it is missing.
    connection.execute("DROP INDEX faces_near")
    with running(settings, catalogue.run):
        wait_until(lambda: has_vector_index(connection), "the index is not built")

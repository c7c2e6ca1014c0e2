"""Whatever the records are that the codec accepts, every step takes or rejects them, and raises nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from catalogue import dead_letters, reader
from catalogue.writer import CONSUMER, write
from clustering.clustering import Clustering
from consumers import cluster, index
from consumers.detection import Detection
from consumers.workers import Outcome, Unusable
from index.face_index import FaceIndex
from index.parameters import Parameters
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.base import Event
from schemas.codec import InvalidRecord, decode
from schemas.dead_letters import Settled, encode_dead_letter
from schemas.scans import ScanPublished
from schemas.topics import DEAD_LETTERS, Record, Topic, topic_of
from settings import Settings
from stream.records import Received
from tests.builders.any_records import altered, bytes_of_any_kind
from tests.builders.catalogue import all_counted, dead
from tests.builders.clock import NOON
from tests.builders.hostile import ANALYSIS, ASSIGNED, CHANGED, DECISIONS, FOUND, GENERATION, PROMOTION, SCAN


def records_of(event: Event) -> st.SearchStrategy[Record]:
    """Altered records of an event, and now and then its tombstone, or anything."""
    return st.one_of(altered(event), altered(event), st.just(Record(event.key.encode(), None)), bytes_of_any_kind)


def batches(*events: Event) -> st.SearchStrategy[list[list[tuple[Topic, Record]]]]:
    """Batches of altered records of these events."""
    records = st.one_of(*(st.tuples(st.just(topic_of(event)), records_of(event)) for event in events))
    return st.lists(st.lists(records, max_size=4), min_size=1, max_size=4)


def accepted(batch: Sequence[tuple[Topic, Record]], offset: int) -> list[Received]:
    """What the codec makes of a batch, numbered from this offset on."""
    received = []
    for number, (topic, record) in enumerate(batch, offset):
        try:
            received.append(Received(topic.name, 0, number, record, decode(topic, record)))
        except InvalidRecord:
            continue
    return received


@settings(max_examples=150, deadline=None)
@given(batches(SCAN))
def test_detect_takes_or_rejects_any_scan(some: list[list[tuple[Topic, Record]]]) -> None:
    def analyse(scans: Sequence[ScanPublished]) -> list[Outcome]:
        return [Unusable(f"nothing is at {scan.uri}") for scan in scans]

    detection = Detection(analyse, Stores(StoreParameters()).store_of, threading.Event())
    for number, batch in enumerate(some):
        received = accepted(batch, 10 * number)
        assert len(detection.step(received)) == len(received)


@settings(max_examples=150, deadline=None)
@given(batches(ANALYSIS))
def test_the_index_takes_or_rejects_any_analysis(some: list[list[tuple[Topic, Record]]]) -> None:
    face_index = FaceIndex(Parameters())
    for number, batch in enumerate(some):
        index.step(face_index, accepted(batch, 10 * number))


@settings(max_examples=150, deadline=None)
@given(batches(FOUND, *DECISIONS))
def test_the_clustering_takes_or_rejects_any_neighbours_and_decisions(some: list[list[tuple[Topic, Record]]]) -> None:
    clustering = Clustering(cluster.parameters_of(Settings().clustering))
    for number, batch in enumerate(some):
        cluster.step(clustering, accepted(batch, 10 * number))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=batches(SCAN, ANALYSIS, *DECISIONS, ASSIGNED, CHANGED, GENERATION, PROMOTION))
def test_the_catalogue_writes_or_refuses_any_record(
    connection: Connection, some: list[list[tuple[Topic, Record]]]
) -> None:
    for batch in some:
        start = max(reader.offsets(connection, CONSUMER).values(), default=0)
        received = accepted(batch, start)
        write(connection, received, {(one.topic, one.partition): one.offset + 1 for one in received})
    assert reader.counts(connection) == all_counted(connection)
    # What is written can be read again.
    connection.execute("SELECT * FROM scans, analyses, decisions").fetchall()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=bytes_of_any_kind)
def test_the_catalogue_writes_any_dead_letter(connection: Connection, record: Record) -> None:
    letter = dead(record.key, offset=1)
    settled = Settled("scans", 0, 2, "\x00", "dropped", NOON)
    encoded = encode_dead_letter(letter, 2**20)
    received = [
        Received(DEAD_LETTERS.name, 0, 0, encoded, letter),
        Received(DEAD_LETTERS.name, 0, 1, encoded, settled),
    ]
    connection.execute("TRUNCATE offsets")
    write(connection, received, {(DEAD_LETTERS.name, 0): 2})
    assert [one.offset for one in dead_letters.stored(connection)] == [1]

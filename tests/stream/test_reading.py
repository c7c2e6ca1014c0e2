"""The latest value and event of each key of a topic, from a real broker."""

from __future__ import annotations

import pytest
from kafka.errors import KafkaTimeoutError

from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, SCANS, Tombstone
from settings import KafkaSettings
from stream import clients, silence
from stream.reading import latest, latest_events, latest_values, read_until
from tests.builders.kafka import publish
from tests.builders.transforms import scan


def test_the_latest_values_are_those_that_compaction_would_keep(
    kafka: KafkaSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    producer = clients.producer(kafka, transactional_id="writer")
    producer.init_transactions()
    committed = [(b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"\xff", b"1"), (b"a", b"2"), (b"b", None), (b"d", b"1")]
    aborted = [(b"c", b"3"), (b"e", b"3")]
    for records, end in (
        (committed[:3], producer.commit_transaction),
        (aborted, producer.abort_transaction),
        (committed[3:], producer.commit_transaction),
    ):
        producer.begin_transaction()
        for key, value in records:
            producer.send(ASSIGNMENTS.name, key=key, value=value)
        end()
    producer.close()
    assert latest_values(kafka, ASSIGNMENTS) == {"a": b"2", "c": b"1", "d": b"1"}
    assert "the key is not UTF-8" in capfd.readouterr().out


def test_the_latest_events_are_those_that_compaction_would_keep(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("a"), scan("b"), scan("c"), Tombstone(SCANS, "b"), scan("a", "newer"), scan("c", "unwanted")])

    def collection_of(published: ScanPublished) -> str | None:
        return None if published.collection == "unwanted" else published.collection

    assert latest_events(kafka, SCANS, ScanPublished, collection_of) == {"a": "newer"}


def test_a_key_keeps_its_place_until_it_is_deleted() -> None:
    entries = [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", None), ("b", 2), ("never", None)]
    assert list(latest(entries).items()) == [("a", 2), ("c", 1), ("b", 2)]


def test_records_that_are_not_there_are_not_waited_for_for_ever(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LONGEST_SILENCE_S", 1.0)
    with pytest.raises(KafkaTimeoutError, match="no records for 1 seconds"):
        list(read_until(kafka, {(SCANS.name, 0): 1_000_000}))

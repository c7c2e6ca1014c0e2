"""The index of a topic, on a real broker: it says what the whole topic says, and reads each record once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers import topic_index
from producers.topic_index import Remembered, TopicIndex
from schemas.base import Event
from schemas.codec import encode
from schemas.scans import ScanPublished
from schemas.topics import SCANS, Tombstone, Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import latest_events, read_until
from stream.records import Positions, Received
from stream.topics import Extent, ensure_topics, extent
from tests.builders.clock import NOON
from tests.builders.feed import scan

BY_URI = Remembered(ScanPublished, {"uri": lambda scan: scan.uri}, sought=("uri",))


@pytest.fixture
def topic(kafka: KafkaSettings) -> Topic:
    """A topic of scans of the test's own, of two partitions."""
    own = replace(SCANS, name=f"scans-{uuid4().hex}", partitions=2)
    ensure_topics(kafka, [own])
    return own


@pytest.fixture
def read_from(monkeypatch: pytest.MonkeyPatch) -> list[Positions]:
    """The positions that the topic is read from, as it is read."""
    starts: list[Positions] = []

    def watched(kafka: KafkaSettings, ends: Positions, start: Positions) -> Iterator[Received]:
        starts.append(dict(start))
        return read_until(kafka, ends, start)

    monkeypatch.setattr(topic_index, "read_until", watched)
    return starts


def send(kafka: KafkaSettings, topic: Topic, *messages: Event | Tombstone, aborts: bool = False) -> None:
    """Publish in one transaction to the test's topic."""
    producer = clients.producer(kafka, transactional_id=uuid4().hex)
    producer.init_transactions()
    producer.begin_transaction()
    for message in messages:
        record = encode(message, event_id=uuid4().hex, time=NOON)
        producer.send(topic.name, key=record.key, value=record.value, headers=list(record.headers))
    if aborts:
        producer.abort_transaction()
    else:
        producer.commit_transaction()
    producer.close()


def opened(kafka: KafkaSettings, topic: Topic, folder: Path | None) -> TopicIndex[ScanPublished]:
    return TopicIndex(kafka, topic, BY_URI, folder)


def held(kafka: KafkaSettings, topic: Topic, folder: Path | None) -> dict[str, str]:
    """The uri of each scan as the index has it after it was opened."""
    with opened(kafka, topic, folder) as index:
        return dict(index.rows_from("key"))


def published(kafka: KafkaSettings, topic: Topic) -> dict[str, str]:
    """The same, as the whole topic has it."""
    return latest_events(kafka, topic, ScanPublished, lambda scan: scan.uri)


def test_only_what_was_published_since_is_read(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, read_from: list[Positions]
) -> None:
    send(kafka, topic, *(scan("a", f"{number}.jpg") for number in range(50)))
    before = extent(kafka, topic.name, NOON).ends
    assert len(held(kafka, topic, tmp_path)) == 50
    send(kafka, topic, scan("a", "50.jpg"), Tombstone(topic, "a/7.jpg"))
    assert len(held(kafka, topic, tmp_path)) == 50
    assert read_from == [dict.fromkeys(before, 0), before]
    held(kafka, topic, tmp_path)
    assert len(read_from) == 2


def test_the_latest_events_are_read_where_they_are(kafka: KafkaSettings, topic: Topic, tmp_path: Path) -> None:
    scans = [scan("a", f"{number}.jpg") for number in range(3000)]
    send(kafka, topic, *scans)
    with opened(kafka, topic, tmp_path) as index:
        newer = scans[5].model_copy(update={"uri": "file:///moved.jpg"})
        send(kafka, topic, newer, Tombstone(topic, scans[6].scan_id))
        send(kafka, topic, scans[7].model_copy(update={"uri": "file:///never.jpg"}), aborts=True)
        chosen = (scans[0], scans[6], scans[7], scans[1500], scans[2999])
        found = index.latest([*(one.scan_id for one in chosen), newer.scan_id, "unknown", "\udcff"])
        assert found == {one.scan_id: one for one in (scans[0], newer, scans[7], scans[1500], scans[2999])}
        assert index.latest([one.scan_id for one in scans]).keys() == {one.scan_id for one in scans} - {"a/6.jpg"}
        assert index.rows("uri = ?", "file:///moved.jpg") == [("a/5.jpg", "file:///moved.jpg")]
        assert index.rows("uri = ?", "\udcff") == []


History = list[tuple[list[tuple[str, str | None]], bool, bool]]
"""Batches of scans with their uris, None for a tombstone; whether it is aborted, and whether it is read then."""

messages = st.tuples(st.sampled_from("abcdef"), st.sampled_from(("x", "y", None)))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.lists(messages, max_size=5), st.booleans(), st.booleans()), max_size=6))
def test_it_holds_what_the_whole_topic_says_whatever_was_read_when(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: History
) -> None:
    monkeypatch.setattr(topic_index, "_RECORDS_A_TRANSACTION", 2)
    topic = replace(SCANS, name=f"scans-{uuid4().hex}", partitions=2)
    ensure_topics(kafka, [topic])
    for batch, aborts, reads in history:
        events = [Tombstone(topic, f"c/{key}") if uri is None else scan("c", key, uri=uri) for key, uri in batch]
        send(kafka, topic, *events, aborts=aborts)
        if reads:
            assert held(kafka, topic, tmp_path) == published(kafka, topic)
    assert held(kafka, topic, tmp_path) == published(kafka, topic)


def test_a_process_that_is_killed_while_it_reads_is_continued(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_index, "_RECORDS_A_TRANSACTION", 10)
    send(kafka, topic, *(scan("a", f"{number}.jpg") for number in range(100)))

    def killed(kafka: KafkaSettings, ends: Positions, start: Positions) -> Iterator[Received]:
        yield from islice(read_until(kafka, ends, start), 35)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(topic_index, "read_until", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(kafka, topic, tmp_path)
    assert held(kafka, topic, tmp_path) == published(kafka, topic)


def test_processes_that_read_at_once_do_not_disturb_each_other(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_index, "_RECORDS_A_TRANSACTION", 7)
    results: list[dict[str, str]] = []
    for first in range(0, 400, 100):
        send(kafka, topic, *(scan("a", f"{number}.jpg") for number in range(first, first + 100)))
        readers = [threading.Thread(target=lambda: results.append(held(kafka, topic, tmp_path))) for _ in range(3)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout=60)
        assert results[-3:] == [published(kafka, topic)] * 3


def stand_in_for_extent(monkeypatch: pytest.MonkeyPatch, change: Callable[[Extent], Extent]) -> None:
    """Let the topic appear to be of another extent."""
    monkeypatch.setattr(topic_index, "extent", lambda kafka, topic, now: change(extent(kafka, topic, now)))


def test_it_is_recreated_where_tombstones_since_may_be_gone(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_from: list[Positions]
) -> None:
    send(kafka, topic, *(scan("a", f"{number}.jpg") for number in range(9)))
    held(kafka, topic, tmp_path)
    stand_in_for_extent(monkeypatch, lambda it: replace(it, tombstones_from=dict.fromkeys(it.ends, 1000)))
    held(kafka, topic, tmp_path)
    assert read_from == [dict.fromkeys(read_from[0], 0)] * 2


def test_it_is_recreated_where_the_broker_has_lost_records(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(kafka, topic, *(scan("a", f"{number}.jpg") for number in range(20)))
    assert len(held(kafka, topic, tmp_path)) == 20
    stand_in_for_extent(monkeypatch, lambda it: replace(it, ends=dict.fromkeys(it.ends, 2)))
    assert 0 < len(held(kafka, topic, tmp_path)) <= 4


def test_it_is_recreated_where_the_topic_does_not_hold_what_is_in_it(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = scan("a", "1.jpg")
    send(kafka, topic, one, scan("a", "2.jpg"), scan("a", "3.jpg"))
    with opened(kafka, topic, tmp_path) as index:
        index._connection.execute('UPDATE records SET "offset" = "offset" + 1')
        assert index.latest([one.scan_id]) == {one.scan_id: one}
    assert "the topic does not hold what is in it" in capfd.readouterr().out


def test_that_of_a_topic_with_another_id_is_deleted(kafka: KafkaSettings, topic: Topic, tmp_path: Path) -> None:
    send(kafka, topic, scan("a"))
    held(kafka, topic, tmp_path)
    (file,) = (tmp_path / "topics" / topic.name).iterdir()
    file.rename(file.with_name("another-1.sqlite"))
    assert held(kafka, topic, tmp_path) == published(kafka, topic)
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_file_is_recreated(kafka: KafkaSettings, topic: Topic, tmp_path: Path) -> None:
    send(kafka, topic, scan("a"))
    held(kafka, topic, tmp_path)
    (file,) = (tmp_path / "topics" / topic.name).iterdir()
    file.write_bytes(b"no database" * 1000)
    assert held(kafka, topic, tmp_path) == published(kafka, topic)


def test_where_the_folder_cannot_be_written_the_whole_topic_is_read(
    kafka: KafkaSettings, topic: Topic, tmp_path: Path
) -> None:
    (tmp_path / "topics").write_text("a file")
    send(kafka, topic, scan("a"))
    assert held(kafka, topic, tmp_path) == held(kafka, topic, None) == published(kafka, topic)


def test_the_rows_of_all_keys_come_by_key(kafka: KafkaSettings, topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_index, "_ROWS_AT_ONCE", 3)
    names: Sequence[str] = ["ö", "a", "\U0001f600", "\ufb01", "b", "z", "ä/b"]
    send(kafka, topic, *(scan("c", name) for name in names))
    assert list(held(kafka, topic, None)) == sorted(f"c/{name}" for name in names)


def test_the_rows_of_a_range_come_by_its_column_then_by_key(
    kafka: KafkaSettings, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_index, "_ROWS_AT_ONCE", 2)
    uris = {"a": "box/2", "b": "box/1", "c": "box/1", "d": "box/1", "e": "box0", "f": "bow/1", "g": "box/"}
    send(kafka, topic, *(scan("c", name, uri=uri) for name, uri in uris.items()))
    with opened(kafka, topic, None) as index:
        found = list(index.rows_from("uri", "box/", "box0"))
    assert found == [("c/g", "box/"), *((f"c/{name}", "box/1") for name in "bcd"), ("c/a", "box/2")]

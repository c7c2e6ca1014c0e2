"""Publications that take several transactions, on a real broker."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.base import Event
from schemas.topics import FACES, SCANS, Tombstone
from settings import KafkaSettings
from stream import clients
from stream import transform as loop
from stream.chunks import CHUNK
from stream.lag import lag_reader
from stream.reading import read_to_end
from stream.records import Headers, Publication, Received, Rejected, RestoredStep, Unfinished
from tests.builders.clock import now
from tests.builders.kafka import publish
from tests.builders.transforms import dead_letters, scan

_OUTPUTS = [Tombstone(FACES, f"publication-{number}") for number in range(6)]


def run(kafka: KafkaSettings, restored: RestoredStep, stop: threading.Event) -> None:
    loop.transform(kafka, "large", "0", [SCANS], lambda _: restored, max_records=10, stop=stop, clock=now)


def published(kafka: KafkaSettings) -> list[Received]:
    return [one for one in read_to_end(kafka, FACES) if one.message in _OUTPUTS]


def lag(kafka: KafkaSettings, group: str) -> int:
    with lag_reader(kafka) as reader:
        return reader.lags({group: [SCANS]})[group]


def test_what_a_stopped_consumer_has_left_is_published_by_the_next_one_before_anything_else(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHUNK_OUTPUTS", 2)
    publish(kafka, [scan("publication")])
    stop = threading.Event()

    def stopping(_: Event | Tombstone) -> Headers:
        stop.set()
        return ()

    def step(batch: Sequence[Received]) -> Publication:
        assert not stop.is_set(), "the batch was processed twice"
        return Publication(_OUTPUTS, rejected=[Rejected(batch[0], "refused")], headers=stopping)

    run(kafka, RestoredStep(step), stop)
    assert [one.message for one in published(kafka)] == _OUTPUTS[:2]
    assert lag(kafka, "large") > 0

    again = threading.Event()
    resumed: list[Unfinished | None] = []

    def reconcile(unfinished: Unfinished | None) -> list[Publication]:
        resumed.append(unfinished)
        return [Publication(_OUTPUTS[2:])]

    def idle(metadata: str) -> tuple[Sequence[Tombstone], str]:
        again.set()
        return (), metadata

    run(kafka, RestoredStep(step, reconcile, idle), again)
    assert len(resumed) == 1
    assert resumed[0] is not None
    assert [one.message for one in published(kafka)] == _OUTPUTS
    assert [dict(one.record.headers)[CHUNK] for one in published(kafka)] == [b"1/3"] * 2 + [b"1/2"] * 2 + [b"2/2"] * 2
    assert len(dead_letters(kafka, "large")) == 1
    assert lag(kafka, "large") == 0


def test_an_unfinished_publication_counts_as_lag_where_everything_was_read(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("read")])
    reader = clients.consumer(kafka, group_id="unfinished")
    partitions = [TopicPartition(SCANS.name, number) for number in range(SCANS.partitions)]
    ends = reader.end_offsets(partitions)
    unfinished = Unfinished("delta", {(SCANS.name, 0): ends[partitions[0]]}).as_metadata()
    for metadata, expected in ((unfinished, 1), ("", 0)):
        reader.commit({partition: OffsetAndMetadata(end, metadata, -1) for partition, end in ends.items()})
        assert lag(kafka, "unfinished") == expected
    reader.close()

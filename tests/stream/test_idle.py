"""What a step does while there is nothing to read, and its checkpoint metadata; on a real broker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas.topics import FACES, SCANS, Tombstone
from settings import KafkaSettings
from stream.groups import known_groups
from stream.lag import lag_reader
from stream.reading import Log, end_of, read_to_end
from stream.records import Output, Received, RestoredStep
from tests.builders.clock import wait_until
from tests.builders.kafka import broker, publish
from tests.builders.transforms import running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream import echo


class Counting:
    """Counts up to five in its checkpoint metadata, and publishes a tombstone each time."""

    def __init__(self) -> None:
        self.metadata: list[str] = []

    def idle(self, metadata: str) -> tuple[Sequence[Output], str]:
        self.metadata.append(metadata)
        count = int(metadata or 0)
        return ([Tombstone(FACES, f"idle-{count}")], str(count + 1)) if count < 5 else ((), metadata)


def test_checkpoint_metadata_is_committed_with_the_outputs_and_read_after_a_restart(kafka: KafkaSettings) -> None:
    first, second = Counting(), Counting()
    publish(kafka, [scan("metadata-1")])
    with running_transform(kafka, "metadata", lambda _: RestoredStep(echo.echo, idle=first.idle)):
        deadline = time.monotonic() + 30
        while "5" not in first.metadata:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    publish(kafka, [scan("metadata-2")])
    with running_transform(kafka, "metadata", lambda _: RestoredStep(echo.echo, idle=second.idle)):
        wait_until_scans_are_read(kafka, "metadata")
        while not second.metadata:
            time.sleep(0.1)
    assert list(dict.fromkeys(first.metadata)) == ["", "1", "2", "3", "4", "5"]
    assert set(second.metadata) == {"5"}, "the commit of another record has lost the metadata"
    keys = [received.message.key for received in read_to_end(kafka, FACES) if isinstance(received.message, Tombstone)]
    assert [key for key in keys if key.startswith("idle-")] == [f"idle-{count}" for count in range(5)]
    assert times_analysed(kafka, "metadata-") == {"metadata-1": 1, "metadata-2": 1}


def test_a_log_gives_the_records_at_offsets_and_from_an_offset_on(kafka: KafkaSettings) -> None:
    publish(kafka, [scan(f"offsets-{number}") for number in range(30)])
    with running_transform(kafka, "offsets", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "offsets")
    records = list(read_to_end(kafka, FACES))
    with Log(kafka, FACES) as log:
        wanted = [records[-1].offset, records[2].offset, records[20].offset]
        assert [record.offset for record in log.at([*wanted, 10**9])] == sorted(wanted)
        read, offset = [], 0
        while True:
            received, position = log.next(offset, 7)
            assert len(received) <= 7
            read += received
            if position == offset and len(read) == len(records):
                break
            offset = position
        assert end_of(kafka, FACES) == {(FACES.name, 0): offset}
    assert [one.offset for one in read] == [one.offset for one in records]


def test_an_unknown_group_has_no_members_and_no_checkpoint_metadata(kafka: KafkaSettings) -> None:
    with lag_reader(kafka) as reader:
        assert not reader.has_members("unknown")
        assert reader.checkpoint_metadata("unknown", SCANS) == ""


@pytest.mark.broker
def test_the_groups_of_a_broker_that_has_just_started_are_waited_for(tmp_path: Path) -> None:
    with broker(tmp_path) as first:
        publish(first, [scan("loading-1")])
        with running_transform(first, "loading", lambda _: RestoredStep(echo.echo)):
            wait_until_scans_are_read(first, "loading")
    with broker(tmp_path) as again:
        assert known_groups(again) == {"loading"}


def test_a_steady_stream_leaves_time_for_idle_work(kafka: KafkaSettings) -> None:
    counting, read = Counting(), 0

    def endless(batch: Sequence[Received]) -> Sequence[Output]:
        # There is another record whenever one is read.
        nonlocal read
        read += len(batch)
        publish(kafka, [scan(f"steady-{read}")])
        return echo.echo(batch)

    publish(kafka, [scan("steady-0")])
    with running_transform(kafka, "steady", lambda _: RestoredStep(endless, idle=counting.idle)):
        wait_until(lambda: "5" in counting.metadata, "no idle work is done")
        read_by_then = read
    assert read_by_then > 0

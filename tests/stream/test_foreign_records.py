"""What other programs write into the topics: it becomes dead letters, and what comes after it is read."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

import pytest
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from errors import Fatal
from schemas.codec import NewerRecord, encode
from schemas.dead_letters import DeadLetter
from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, LABELS, SCANS, NotUtf8, Record
from settings import KafkaSettings
from stream import batches
from stream.batches import Unreadable
from stream.flood import FloodGuard
from stream.member import Member
from stream.reading import latest_values, read_to_end
from stream.records import Consumed, Output, Received, Rejected, RestoredStep
from stream.records_at import records_at
from tests.builders.clock import NOON
from tests.builders.decisions import named
from tests.builders.kafka import publish, publish_foreign
from tests.builders.transforms import dead_letters, running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream import echo


def record_of(event: ScanPublished, *further: tuple[str, bytes | None]) -> Record:
    """The record of an event, with further headers."""
    record = encode(event, event_id="1", time=NOON)
    return Record(record.key, record.value, (*record.headers, *further))


def dead_letters_of(kafka: KafkaSettings, consumer: str) -> dict[bytes | None, DeadLetter]:
    return {letter.original.key: letter for letter in dead_letters(kafka, consumer)}


def test_headers_of_any_kind_stop_no_reader_and_reach_the_dead_letter(kafka: KafkaSettings) -> None:
    garbage = {
        key: Record(key, b"{", headers)
        for key, headers in {
            b"null": (("x", None), ("y", b"")),
            b"null-type": (("ce_specversion", b"1.0"), ("ce_type", None)),
            b"letter": (
                ("dead_letter_reason", b"\xff\xfe"),
                ("dead_letter_topic", b"\xff"),
                ("dead_letter_time", None),
            ),
            b"name": ((NotUtf8(b"\xff\xfe"), b"1"), ("good", b"2")),
            b"name-twice": (("", b""), ("", None), (NotUtf8(b"a\xc3"), None)),
        }.items()
    }
    publish(kafka, [scan("headers-1")])
    publish_foreign(kafka, SCANS, list(garbage.values()))
    valid_but_for_a_name = record_of(scan("headers-2"), (NotUtf8(b"\xff"), b"1"))
    publish_foreign(kafka, SCANS, [valid_but_for_a_name, record_of(scan("headers-3"), ("x", None), ("x", b"2"))])
    publish(kafka, [scan(f"headers-{number}") for number in range(4, 12)])
    with running_transform(kafka, "headers", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "headers")
    read = {f"headers-{number}": 1 for number in range(1, 12) if number != 2}
    assert times_analysed(kafka, "headers-") == read
    letters = dead_letters_of(kafka, "headers")
    assert {key: letters[key].original for key in garbage} == garbage
    assert letters[b"headers-2"].original == valid_but_for_a_name
    assert letters[b"headers-2"].reason == letters[b"name"].reason == "the name of a header is not UTF-8"
    assert letters[b"null-type"].reason == "the header ce_type has no value"
    # A command that reads topics without a group gets past them too.
    known = {one.message.key for one in read_to_end(kafka, SCANS) if isinstance(one.message, ScanPublished)}
    assert read.keys() <= known
    at = [(number, offset) for number in range(SCANS.partitions) for offset in range(20)]
    assert b"headers-3" in {one.record.key for one in records_at(kafka, SCANS.name, at)}


def test_the_latest_values_are_read_past_a_foreign_header(kafka: KafkaSettings) -> None:
    publish_foreign(kafka, ASSIGNMENTS, [Record(b"f", b"1", ((NotUtf8(b"\xff"), b"1"),)), Record(b"f", b"2")])
    assert latest_values(kafka, ASSIGNMENTS)["f"] == b"2"


def test_a_value_that_is_too_large_for_a_dead_letter_is_one_by_its_beginning_and_checksum(kafka: KafkaSettings) -> None:
    zeros = bytes(60_000_000)
    publish_foreign(kafka, SCANS, [Record(b"zeros", zeros, record_of(scan("x")).headers)], compression="gzip")
    publish(kafka, [scan("after-zeros")])
    with running_transform(kafka, "zeros", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "zeros", within_s=60)
    letter = dead_letters_of(kafka, "zeros")[b"zeros"]
    assert letter.cut
    assert (letter.cut.size, letter.cut.sha256) == (len(zeros), hashlib.sha256(zeros).hexdigest())
    assert letter.original.value
    assert zeros.startswith(letter.original.value)
    assert times_analysed(kafka, "after-zeros")


def test_a_record_that_the_step_fails_on_is_a_dead_letter_and_the_others_go_on(kafka: KafkaSettings) -> None:
    restored: list[int] = []

    def fails(batch: list[Received]) -> list[Output]:
        if any(one.record.key == b"fail-13" for one in batch):
            raise IndexError("nobody foresaw this")
        return echo.echo(batch)

    def restore(_: object) -> RestoredStep:
        restored.append(1)
        return RestoredStep(fails)  # type: ignore[arg-type]

    publish(kafka, [scan(f"fail-{number}") for number in range(30)])
    with running_transform(kafka, "fail", restore, max_records=16):
        wait_until_scans_are_read(kafka, "fail")
    assert times_analysed(kafka, "fail-") == {f"fail-{number}": 1 for number in range(30) if number != 13}
    (letter,) = [one for one in dead_letters(kafka, "fail") if one.original.key == b"fail-13"]
    assert letter.reason == "the step of fail failed (IndexError: nobody foresaw this)"
    # After each failure the state is restored: a step may have changed a part of it.
    assert len(restored) > 1


def test_a_later_version_of_an_event_stops_the_consumer_behind_all_before_it(kafka: KafkaSettings) -> None:
    before, newer, after = (encode(named(number, "f", "anna"), event_id="1", time=NOON) for number in range(3))
    headers = dict(newer.headers) | {"ce_type": b"facestream.face.named.v2"}
    publish_foreign(kafka, LABELS, [before, Record(newer.key, newer.value, tuple(headers.items())), after])
    member = Member(kafka, "newer", "0", [LABELS], threading.Event())
    try:
        received: list[Received] = []
        with pytest.raises(NewerRecord, match=r"labels 0/1: facestream\.face\.named\.v2 is newer than this program"):
            read_for_ever(member, received)
        assert {one.offset for one in received} == {0}
        assert member.positions() == {("labels", 0): 1}
    finally:
        member.close()
    with pytest.raises(NewerRecord):
        list(read_to_end(kafka, LABELS))


def read_for_ever(member: Member, received: list[Received]) -> None:
    """As both loops do."""
    while True:
        if member.reassigned:
            positions, breaks = member.continue_from(member.take_assignment())
            assert not breaks
            member.seek(positions)
        batch = member.poll(500)
        assert not batch.rejected
        received += batch.received


def batch_of(*values: bytes, compression: int = 0, offset: int = 5) -> bytearray:
    """A batch of records with these values, as a broker sends it, and its records begin at this offset."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=compression, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=10**6,
    )  # fmt: skip
    for number, value in enumerate(values):
        builder.append(number, timestamp=1_000, key=b"k", value=value, headers=[("h", b"1")])
    buffer = bytearray(builder.build())
    buffer[:8] = offset.to_bytes(8, "big")
    return buffer


def read(*parts: bytes | bytearray) -> list[Any]:
    """The records of these batches, as the client reads them."""
    batches.install()
    memory = MemoryRecords(b"".join(parts))
    records: list[Any] = []
    while (batch := memory.next_batch()) is not None:
        assert batch.validate_crc()
        records += batch
    return records


GOOD = batch_of(b"good", offset=20)


def flipped(buffer: bytearray, position: int, bits: int = 0xFF) -> bytearray:
    return buffer[:position] + bytes([buffer[position] ^ bits]) + buffer[position + 1 :]


def with_checksum(buffer: bytearray) -> bytearray:
    """With the checksum of what is in it: the broker that took it has checked that one."""
    start = DefaultRecordBatch.ATTRIBUTES_OFFSET
    buffer[start - 4 : start] = calc_crc32c(memoryview(buffer)[start:]).to_bytes(4, "big")
    return buffer


def lengthened() -> bytearray:
    whole = batch_of(b"one", b"two")
    return with_checksum(flipped(whole, DefaultRecordBatch.HEADER_STRUCT.size))


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (flipped(batch_of(b"one", b"two"), 70), r"its checksum is another one \(offsets 5 to 6\)"),
        (
            with_checksum(flipped(batch_of(b"one", b"two"), 22, 3)),
            r"cannot be decompressed \(.*lz4.*\(offsets 5 to 6\)",
        ),
        (with_checksum(flipped(batch_of(b"one"), 22, 1)), r"cannot be decompressed \(.*\(offset 5\)"),
        (lengthened(), "the record is damaged"),
    ],
)
def test_a_batch_that_nobody_can_read_is_one_record_and_the_next_is_read(damaged: bytearray, reason: str) -> None:
    unreadable, good = read(damaged, GOOD)
    assert isinstance(unreadable.headers, Unreadable)
    assert re.search(reason, unreadable.headers.reason)
    assert unreadable.offset in (5, 6)
    assert (good.value, good.offset) == (b"good", 20)


def test_a_batch_that_unpacks_to_more_than_a_machine_has_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = batch_of(bytes(900_000), compression=1)
    assert read(bomb)[0].value == bytes(900_000)
    monkeypatch.setattr(batches, "_MOST_UNPACKED", 800_000)
    unreadable, good = read(bomb, GOOD)
    assert isinstance(unreadable.headers, Unreadable)
    assert good.value == b"good"


def test_a_flood_of_dead_letters_stops_the_consumer_with_one_line() -> None:
    seconds = 0.0
    guard = FloodGuard("detect", 100, lambda: seconds)
    dead = [Rejected(Consumed("scans", 3, 17, Record(b"k", b"v")), "nothing is at file:///who/is/this.jpg")]

    def read(records: int, rejected: list[Rejected]) -> None:
        guard.check(records, rejected)
        guard.count(records, rejected)

    # Many, but fewer than the good ones; most, but few; many and most, but not within a minute.
    for _ in range(150):
        read(3, dead)
    seconds = 100.0
    for _ in range(99):
        read(1, dead)
    seconds = 200.0
    read(10, [])
    for _ in range(99):
        read(1, dead)
    with pytest.raises(Fatal, match=r"detect stopped: 100 of the 110 records .* scans 3/17; facestream dead") as flood:
        guard.check(1, dead)
    assert "this.jpg" not in str(flood.value), "no log names a scan"


def test_a_batch_that_is_read_again_is_no_flood() -> None:
    guard = FloodGuard("detect", 100)
    dead = [Rejected(Consumed("scans", 3, offset, Record(b"k", b"v")), "not a picture") for offset in range(60)]
    for _ in range(3):
        # What it publishes is refused, or its partitions are another's.
        guard.check(60, dead)
    guard.count(60, dead)


def test_a_flood_commits_nothing_of_its_last_batch(kafka: KafkaSettings) -> None:
    publish(kafka, [scan(f"flood-{number}", "unusable") for number in range(40)])
    few = kafka.model_copy(update={"most_dead_letters": 30})
    with (
        running_transform(few, "flood", lambda _: RestoredStep(echo.echo), max_records=100) as run,
        pytest.raises(Fatal, match=r"flood stopped: .* records of the last minute would be dead letters"),
    ):
        run.result(timeout=30)
    assert len(dead_letters(kafka, "flood")) < 30

"""How a record that a consumer rejects is written to the `dead-letters` topic. Both loops use it."""

from __future__ import annotations

from datetime import datetime

from schemas.dead_letters import DeadLetter, encode_dead_letter
from schemas.topics import Record
from stream.clients import MAX_RECORD_BYTES
from stream.records import Rejected
from telemetry.tracing import in_log

# What a batch needs beside the record.
MOST_BYTES = MAX_RECORD_BYTES - 16 * 1024
# Every topic takes so much, whatever its configuration: a broker's default is a megabyte.
FEW_BYTES = 256 * 1024


def dead_letter_record(rejected: Rejected, consumer: str, time: datetime, most_bytes: int = MOST_BYTES) -> Record:
    """The record of `dead-letters` that `consumer` publishes at `time` for a record that it cannot use."""
    consumed = rejected.consumed
    letter = DeadLetter(
        original=consumed.record,
        topic=consumed.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        consumer=consumer,
        reason=rejected.reason,
        time=time,
    )
    return encode_dead_letter(letter, most_bytes)


def place_of(rejected: Rejected) -> dict[str, str | int]:
    """Where a record that cannot be used was read, and its trace, for a log."""
    consumed = rejected.consumed
    place: dict[str, str | int] = {"topic": consumed.topic, "partition": consumed.partition, "offset": consumed.offset}
    place.update(in_log(consumed.record.headers))
    return place

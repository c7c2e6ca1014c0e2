"""How a record that a consumer rejects is written to the `dead-letters` topic. Both loops use it."""

from __future__ import annotations

from datetime import datetime

from schemas.dead_letters import DeadLetter, encode_dead_letter
from schemas.topics import Record
from stream.records import Rejected


def dead_letter_record(rejected: Rejected, consumer: str, time: datetime) -> Record:
    """The record of `dead-letters` that `consumer` publishes at `time` for a record that it cannot use."""
    consumed = rejected.consumed
    return encode_dead_letter(
        DeadLetter(
            original=consumed.record,
            topic=consumed.topic,
            partition=consumed.partition,
            offset=consumed.offset,
            consumer=consumer,
            reason=rejected.reason,
            time=time,
        )
    )

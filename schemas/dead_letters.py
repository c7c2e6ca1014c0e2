"""The `dead-letters` topic: records that could not be used, byte for byte, with where they came from and why.

The original key, value and headers stay as they were, so that a repaired record can be sent again. The facts about it
are in further headers, which all begin with `dead_letter_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.codec import InvalidRecord
from schemas.topics import Record

_PREFIX = "dead_letter_"


@dataclass(frozen=True)
class DeadLetter:
    """A record as it was, its topic, partition and offset, and which consumer rejected it, when and why."""

    original: Record
    topic: str
    partition: int
    offset: int
    consumer: str
    reason: str
    time: datetime


def encode_dead_letter(letter: DeadLetter) -> Record:
    """The original record with the `dead_letter_` headers added."""
    fields = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "consumer": letter.consumer,
        "reason": letter.reason,
        "time": letter.time.isoformat(),
    }
    headers = tuple((_PREFIX + name, value.encode()) for name, value in fields.items())
    return Record(letter.original.key, letter.original.value, letter.original.headers + headers)


def decode_dead_letter(record: Record) -> DeadLetter:
    """The dead letter in a record of `dead-letters`. Raises InvalidRecord when its headers are missing or malformed."""
    fields = {name[len(_PREFIX) :]: value.decode() for name, value in record.headers if name.startswith(_PREFIX)}
    own = tuple(header for header in record.headers if not header[0].startswith(_PREFIX))
    try:
        return DeadLetter(
            original=Record(record.key, record.value, own),
            topic=fields["topic"],
            partition=int(fields["partition"]),
            offset=int(fields["offset"]),
            consumer=fields["consumer"],
            reason=fields["reason"],
            time=datetime.fromisoformat(fields["time"]),
        )
    except (KeyError, ValueError) as error:
        raise InvalidRecord(f"not a dead letter: {error!r}") from error

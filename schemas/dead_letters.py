"""The `dead-letters` topic: records that could not be used, byte for byte, with where they came from and why.

The original key, value and headers stay what they were, so that a mended one can be sent again as it is. What is
said about them stands in further headers, all beginning with `dead_letter_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.codec import InvalidRecord
from schemas.topics import Record

_PREFIX = "dead_letter_"


@dataclass(frozen=True)
class DeadLetter:
    """A record as it was, where it stood, which consumer gave it up, when and why."""

    original: Record
    topic: str
    partition: int
    offset: int
    consumer: str
    reason: str
    time: datetime


def encode_dead_letter(letter: DeadLetter) -> Record:
    """The original record with the `dead_letter_` headers added."""
    said = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "consumer": letter.consumer,
        "reason": letter.reason,
        "time": letter.time.isoformat(),
    }
    headers = tuple((_PREFIX + name, value.encode()) for name, value in said.items())
    return Record(letter.original.key, letter.original.value, letter.original.headers + headers)


def decode_dead_letter(record: Record) -> DeadLetter:
    """What stands in a record of `dead-letters`; InvalidRecord if its headers are not there."""
    said = {name[len(_PREFIX) :]: value.decode() for name, value in record.headers if name.startswith(_PREFIX)}
    own = tuple(header for header in record.headers if not header[0].startswith(_PREFIX))
    try:
        return DeadLetter(
            original=Record(record.key, record.value, own),
            topic=said["topic"],
            partition=int(said["partition"]),
            offset=int(said["offset"]),
            consumer=said["consumer"],
            reason=said["reason"],
            time=datetime.fromisoformat(said["time"]),
        )
    except (KeyError, ValueError) as error:
        raise InvalidRecord(f"not a dead letter: {error!r}") from error

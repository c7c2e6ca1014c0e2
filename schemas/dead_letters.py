"""The `dead-letters` topic: records that could not be used, byte for byte, with where they came from and why.

The original key, value and headers stay as they were, so that a repaired record can be sent again. The facts about it
are in further headers after those, which all begin with `dead_letter_`. Of a record that would be too large with them,
the beginning is kept, with size and checksum of its value.

A dead letter that was sent again or dropped is settled: a record that says so follows it in the topic. So all that
happened is in the topic, and a reader of it knows which dead letters are open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from schemas.codec import InvalidRecord
from schemas.topics import Headers, Record

_PREFIX = "dead_letter_"
# The first one of those that are added: a foreign record may have others of this prefix.
_FIRST = _PREFIX + "topic"

_MOST_REASON = 2_000
# What is kept of an original that is too large.
_KEY_BEGINNING, _VALUE_BEGINNING = 4 * 1024, 64 * 1024
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

Settlement = Literal["retried", "dropped"]


@dataclass(frozen=True)
class Cut:
    """The size and the sha256 of a value of which a dead letter has the beginning only, and of no headers."""

    size: int
    sha256: str


@dataclass(frozen=True)
class DeadLetter:
    """A record as it was, its topic, partition and offset, and which consumer rejected it, when and why.

    cut: set where the original is not whole.
    """

    original: Record
    topic: str
    partition: int
    offset: int
    consumer: str
    reason: str
    time: datetime
    cut: Cut | None = None

    @property
    def id(self) -> str:
        """What identifies it: the place of the original, and the consumer."""
        return letter_id(self.topic, self.partition, self.offset, self.consumer)


@dataclass(frozen=True)
class Settled:
    """A dead letter is done with: its original was sent again, or it was dropped."""

    topic: str
    partition: int
    offset: int
    consumer: str
    how: Settlement
    time: datetime

    @property
    def id(self) -> str:
        """That of the dead letter."""
        return letter_id(self.topic, self.partition, self.offset, self.consumer)


def letter_id(topic: str, partition: int, offset: int, consumer: str) -> str:
    """The id of a dead letter."""
    return f"{topic}/{partition}/{offset}/{consumer}"


def encode_dead_letter(letter: DeadLetter, most_bytes: int) -> Record:
    """The original record with the `dead_letter_` headers added; where that is too large, its beginning with them."""
    original, cut = letter.original, letter.cut
    fields = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "consumer": letter.consumer,
        "reason": letter.reason[:_MOST_REASON],
        "time": letter.time.isoformat(),
    }
    if cut is None and _size(original) + _size_of(_added(fields)) > most_bytes:
        original, cut = _beginning(original)
    without_value = [str(number) for number, (_, value) in enumerate(original.headers) if value is None]
    if without_value:
        # kafka-python sends no header without a value.
        fields["null_headers"] = ",".join(without_value)
    if cut is not None:
        fields |= {"size": str(cut.size), "sha256": cut.sha256}
    own = tuple((name, b"" if value is None else value) for name, value in original.headers)
    return Record(original.key, original.value, own + _added(fields))


def encode_settled(settled: Settled) -> Record:
    """The record that settles a dead letter."""
    fields = {
        "topic": settled.topic,
        "partition": str(settled.partition),
        "offset": str(settled.offset),
        "consumer": settled.consumer,
        "settled": settled.how,
        "time": settled.time.isoformat(),
    }
    return Record(settled.id.encode(), None, _added(fields))


def decode_dead_letter(record: Record) -> DeadLetter | Settled:
    """What a record of `dead-letters` says. Raises InvalidRecord when its headers are missing or malformed."""
    own, added = _split(record.headers)
    try:
        fields = {name.removeprefix(_PREFIX): (value or b"").decode() for name, value in added}
        topic, consumer = fields["topic"], fields["consumer"]
        partition, offset = _number(fields["partition"], 2**31), _number(fields["offset"], 2**63)
        time = _time(fields["time"])
        if "settled" in fields:
            return Settled(topic, partition, offset, consumer, _settlement(fields["settled"]), time)
        cut = Cut(_number(fields["size"], 2**63), fields["sha256"]) if "size" in fields else None
        original = Record(record.key, record.value, _with_nulls(own, fields))
        return DeadLetter(original, topic, partition, offset, consumer, fields["reason"], time, cut)
    except (KeyError, ValueError, OverflowError) as error:
        raise InvalidRecord(f"not a dead letter: {str(error)[:200]!r}") from error


def _added(fields: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    # A reason may quote what is not UTF-8.
    return tuple((_PREFIX + name, value.encode(errors="backslashreplace")) for name, value in fields.items())


def _split(headers: Headers) -> tuple[Headers, Headers]:
    """The headers of the original, and those that were added to them."""
    firsts = [number for number, (name, _) in enumerate(headers) if name == _FIRST]
    first = firsts[-1] if firsts else len(headers)
    return headers[:first], headers[first:]


def _with_nulls(headers: Headers, fields: Mapping[str, str]) -> Headers:
    numbers = {int(number) for number in fields.get("null_headers", "").split(",") if number}
    return tuple((name, None if number in numbers else value) for number, (name, value) in enumerate(headers))


def _beginning(original: Record) -> tuple[Record, Cut]:
    value = original.value or b""
    key = original.key if original.key is None else original.key[:_KEY_BEGINNING]
    return Record(key, value[:_VALUE_BEGINNING]), Cut(len(value), hashlib.sha256(value).hexdigest())


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"") + _size_of(record.headers)


def _size_of(headers: Headers) -> int:
    # A length takes up to five bytes, and so does the number of a header without a value.
    return sum(len(name.encode()) + len(value or b"") + 20 for name, value in headers)


def _number(text: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < limit):
        raise ValueError(f"not a number of a partition or an offset: {text[:40]}")
    return int(text)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    # Without an offset from UTC it is none.
    if time.tzinfo is None or not _EARLIEST <= time < _LATEST:
        raise ValueError(f"not a time: {text[:40]}")
    return time


def _settlement(text: str) -> Settlement:
    if text not in ("retried", "dropped"):
        raise ValueError(f"not a settlement: {text[:40]}")
    return "retried" if text == "retried" else "dropped"

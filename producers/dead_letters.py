"""Settling dead letters: their originals are sent again to where they came from, or they are dropped.

What is sent again, and the record that settles the dead letter, are one transaction. So a dead letter is settled if and
only if its original was sent. Nothing is removed from `dead-letters`: all that happened is in it for a year.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from schemas.dead_letters import DeadLetter, Settled, Settlement, encode_settled
from schemas.topics import DEAD_LETTERS, Record, topic_named
from settings import KafkaSettings
from stream import clients
from stream.dead_letters import MOST_BYTES
from stream.failures import first_refusal, is_too_large
from stream.reading import as_positions, decode_record, end_of, partitions_of, undecoded_until
from stream.records import Received

ATTEMPTS = "retry_attempts"
"""The header of a record that was sent again: how many times."""

# The time in a dead letter is that of its consumer's clock, the one that topics are searched by that of its client.
_CLOCKS_DIFFER = timedelta(hours=1)
_TRANSACTIONAL_ID = "facestream-dead-letters"
_IN_ONE_TRANSACTION = 100
_CONFIRM_S = 60.0
_TOO_LARGE = "its original is larger than the topic takes"


@dataclass(frozen=True)
class Letter:
    """A dead letter, as the catalogue names it. original: as it was; None where it is nowhere any more."""

    topic: str
    partition: int
    offset: int
    consumer: str
    time: datetime
    original: Record | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the original came from."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True)
class Outcome:
    """What became of a dead letter, and why it was left as it is."""

    letter: Letter
    result: Literal["retried", "dropped", "left"]
    reason: str | None = None


def with_originals(kafka: KafkaSettings, letters: Sequence[Letter]) -> list[Letter]:
    """The letters with their originals: from `dead-letters`, or from their place where they are not whole there."""
    if not letters:
        return []
    found = {
        (one.topic, one.partition, one.offset, one.consumer): one
        for one in _published(kafka, min(letter.time for letter in letters))
    }
    whole: list[Letter] = []
    for letter in letters:
        published = found.get((*letter.place, letter.consumer))
        if published is not None and published.cut is None:
            whole.append(replace(letter, original=published.original))
            continue
        original = _record_at(kafka, *letter.place)
        if published is not None and published.cut is not None and original is not None:
            is_same = hashlib.sha256(original.value or b"").hexdigest() == published.cut.sha256
            original = original if is_same else None
        whole.append(replace(letter, original=original))
    return whole


def attempts_of(original: Record) -> int:
    """How many times a record was sent again."""
    value = next((value for name, value in original.headers if name == ATTEMPTS), None) or b""
    return int(value) if value.isdigit() and len(value) < 10 else 0


def retry(kafka: KafkaSettings, letters: Sequence[Letter], now: Callable[[], datetime]) -> list[Outcome]:
    """Send the originals again, to the topics and partitions they came from. Letters come from `with_originals`.

    Left as it is, with the reason, is a record that a later one of its key has superseded: it would take that one's
    place, or bring back what was withdrawn.
    """
    problems = _problems(kafka, letters)
    problems |= _superseded(kafka, [letter for letter in letters if letter.place not in problems])
    to_send = [letter for letter in letters if letter.place not in problems]
    problems |= {letter.place: _TOO_LARGE for letter in _settle(kafka, to_send, "retried", now)}
    return [
        Outcome(letter, "left", problems[letter.place]) if letter.place in problems else Outcome(letter, "retried")
        for letter in letters
    ]


def drop(kafka: KafkaSettings, letters: Sequence[Letter], now: Callable[[], datetime]) -> list[Outcome]:
    """Settle dead letters without sending anything."""
    _settle(kafka, letters, "dropped", now)
    return [Outcome(letter, "dropped") for letter in letters]


def _settle(
    kafka: KafkaSettings, letters: Sequence[Letter], how: Settlement, now: Callable[[], datetime]
) -> list[Letter]:
    """Settle dead letters, a hundred in a transaction. Returns those whose originals are larger than the topics take.

    Where a topic refuses one, the transaction is undone, and its letters are settled in halves.
    """
    refused: list[Letter] = []
    to_do = [letters[start : start + _IN_ONE_TRANSACTION] for start in range(0, len(letters), _IN_ONE_TRANSACTION)]
    while to_do:
        producer = clients.producer(kafka, transactional_id=_TRANSACTIONAL_ID)
        try:
            clients.begin_transactions(producer)
            while to_do:
                _settle_together(producer, to_do[0], how, now)
                to_do.pop(0)
        except KafkaError as error:
            if not is_too_large(error):
                raise
            # A producer that was refused once sends nothing more.
            some = to_do.pop(0)
            if len(some) == 1:
                refused += some
            else:
                half = len(some) // 2
                to_do[:0] = [some[:half], some[half:]]
        finally:
            clients.close_producer(producer, within_s=5)
    if refused:
        _abort(kafka)
    return refused


def _abort(kafka: KafkaSettings) -> None:
    """Abort the transaction that a refused record has left open: until then no consumer would read past it."""
    producer = clients.producer(kafka, transactional_id=_TRANSACTIONAL_ID)
    try:
        clients.begin_transactions(producer)
    finally:
        clients.close_producer(producer, within_s=5)


def _settle_together(
    producer: KafkaProducer, letters: Sequence[Letter], how: Settlement, now: Callable[[], datetime]
) -> None:
    producer.begin_transaction()
    sent = []
    for letter in letters:
        if how == "retried" and letter.original is not None:
            record = letter.original
            sent.append(
                producer.send(
                    letter.topic,
                    value=record.value,
                    key=clients.key_to_send(record),
                    headers=_headers_to_send(record),
                    partition=letter.partition,
                )
            )
        marker = encode_settled(Settled(letter.topic, letter.partition, letter.offset, letter.consumer, how, now()))
        producer.send(DEAD_LETTERS.name, value=None, key=marker.key, headers=list(marker.headers))
    clients.bounded(producer.commit_transaction, _CONFIRM_S, lambda: first_refusal(sent))


def _headers_to_send(record: Record) -> list[tuple[str, bytes]]:
    """The headers as they were, but kafka-python sends none without a value; and the count of attempts."""
    own = [(name, value or b"") for name, value in record.headers if name != ATTEMPTS]
    return [*own, (ATTEMPTS, str(attempts_of(record) + 1).encode())]


def _problems(kafka: KafkaSettings, letters: Sequence[Letter]) -> dict[tuple[str, int, int], str]:
    """Why originals cannot be sent again, by their places."""
    reader = clients.consumer(kafka)
    try:
        known = {topic: reader.partitions_for_topic(topic) or () for topic in {letter.topic for letter in letters}}
    finally:
        reader.close()
    return {letter.place: reason for letter in letters if (reason := _problem(letter, known[letter.topic]))}


def _problem(letter: Letter, partitions: Collection[int]) -> str | None:
    original = letter.original
    if letter.topic == DEAD_LETTERS.name or letter.partition not in partitions or not _is_known(letter.topic):
        return "nothing is sent to that topic and partition"
    if original is None:
        return "its original is no longer there, or was larger than a record of dead-letters may be"
    if len(original.key or b"") + len(original.value or b"") > MOST_BYTES:
        return _TOO_LARGE
    if original.key is None and topic_named(letter.topic).retention is None:
        return "its original has no key, which this topic does not take"
    return None


def _is_known(topic: str) -> bool:
    try:
        topic_named(topic)
    except KeyError:
        return False
    return True


def _superseded(kafka: KafkaSettings, letters: Sequence[Letter]) -> dict[tuple[str, int, int], str]:
    """For each place whose record a later one of the same key follows: which one."""
    by_partition: defaultdict[tuple[str, int], list[Letter]] = defaultdict(list)
    for letter in letters:
        if topic_named(letter.topic).retention is None:
            by_partition[letter.topic, letter.partition].append(letter)
    reasons: dict[tuple[str, int, int], str] = {}
    for (topic, number), some in by_partition.items():
        latest = _latest_offsets(kafka, topic, number, min(letter.offset for letter in some))
        for letter in some:
            key = letter.original.key if letter.original is not None else None
            if key is not None and latest.get(key, 0) > letter.offset:
                reasons[letter.place] = f"a later record of its key follows it, {topic} {number}/{latest[key]}"
    return reasons


def _latest_offsets(kafka: KafkaSettings, topic: str, number: int, start: int) -> Mapping[bytes, int]:
    end = end_of(kafka, topic_named(topic))[topic, number]
    records = undecoded_until(kafka, {(topic, number): end}, {(topic, number): start})
    return {consumed.key: consumed.offset for consumed in records if consumed.key is not None}


def _published(kafka: KafkaSettings, since: datetime) -> list[DeadLetter]:
    """The dead letters in their topic, from about this time on."""
    reader = clients.consumer(kafka)
    try:
        partitions = partitions_of(reader, DEAD_LETTERS)
        milliseconds = int((since - _CLOCKS_DIFFER).timestamp() * 1000)
        starts = reader.offsets_for_times(dict.fromkeys(partitions, milliseconds))
        ends = reader.end_offsets(partitions)
    finally:
        reader.close()
    begins = {one: ends[one] if start is None else start.offset for one, start in starts.items()}
    decoded = map(decode_record, undecoded_until(kafka, as_positions(ends), as_positions(begins)))
    return [one.message for one in decoded if isinstance(one, Received) and isinstance(one.message, DeadLetter)]


def _record_at(kafka: KafkaSettings, topic: str, number: int, offset: int) -> Record | None:
    """The record at a place; None where it is there no more."""
    partition = TopicPartition(topic, number)
    reader = clients.consumer(kafka)
    try:
        if number not in (reader.partitions_for_topic(topic) or ()):
            return None
        if not reader.beginning_offsets([partition])[partition] <= offset < reader.end_offsets([partition])[partition]:
            return None
    finally:
        reader.close()
    position = {(topic, number): offset + 1}
    for consumed in undecoded_until(kafka, position, {(topic, number): offset}):
        if consumed.offset == offset:
            return Record(consumed.key, consumed.value, tuple(consumed.headers))
    return None

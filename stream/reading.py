"""Reading without a group: committed records of a topic, from its beginning or an offset up to a position."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

import structlog
from kafka import KafkaConsumer, TopicPartition

from schemas.base import Event
from schemas.codec import InvalidRecord, NewerRecord, decode
from schemas.dead_letters import decode_dead_letter
from schemas.topics import DEAD_LETTERS, Record, Tombstone, Topic, topic_named
from settings import KafkaSettings
from stream import clients
from stream.batches import Unreadable
from stream.records import Cause, Consumed, Positions, Received, Rejected
from stream.silence import Silence, check_silence

log = structlog.get_logger()

EventType = TypeVar("EventType", bound=Event)
Kept = TypeVar("Kept")

_topic_named = cache(topic_named)

# A poll that finds nothing but the marker of a transaction takes all of this.
_POLL_MS = 100

# Long enough to receive what the broker has sent already.
_NO_WAIT_MS = 10


def decode_record(consumed: Any) -> Received | Rejected:  # noqa: ANN401
    """A record as kafka-python returns it, decoded; Rejected with the reason where that is not possible.

    Raises NewerRecord, which names its place, for a later version of an event than this program knows.
    """
    record = Record(consumed.key, consumed.value, tuple(consumed.headers))
    position = (consumed.topic, consumed.partition, consumed.offset, record)
    if isinstance(consumed.headers, Unreadable):
        return Rejected(Consumed(*position), consumed.headers.reason, Cause.INVALID)
    topic = _topic_named(consumed.topic)
    try:
        message = decode_dead_letter(record) if topic is DEAD_LETTERS else decode(topic, record)
    except InvalidRecord as error:
        return Rejected(Consumed(*position), str(error), Cause.INVALID)
    except NewerRecord as error:
        raise NewerRecord(f"{consumed.topic} {consumed.partition}/{consumed.offset}: {error}") from error
    return Received(*position, message)


def read_to_end(kafka: KafkaSettings, topic: Topic) -> Iterator[Received]:
    """All committed records of a topic from its beginning to its present end, in the order of each partition.

    Records that cannot be decoded are skipped: the consumer that processes them sends them to `dead-letters`. Raises
    NewerRecord.
    """
    return _decoded(_to_end(kafka, topic))


def read_until(kafka: KafkaSettings, positions: Positions, start: Positions | None = None) -> Iterator[Received]:
    """All committed records before these positions, from the beginning or from `start` on.

    Records that cannot be decoded are skipped. Raises NewerRecord.
    """
    yield from _decoded(undecoded_until(kafka, positions, start))


def undecoded_until(kafka: KafkaSettings, positions: Positions, start: Positions | None = None) -> Iterator[Any]:
    """The same records as kafka-python returns them, whether they can be decoded or not."""
    reader = clients.consumer(kafka)
    begins = {TopicPartition(*partition): offset for partition, offset in (start or {}).items()}
    ends = {TopicPartition(*partition): offset for partition, offset in positions.items()}
    try:
        yield from read_before(reader, ends, begins)
    finally:
        reader.close()


def read_before(
    reader: KafkaConsumer, ends: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int] | None = None
) -> Iterator[Any]:
    """The records before these ends that a reader sees, as kafka-python returns them.

    Raises kafka.errors.KafkaTimeoutError where the broker sends nothing for a while: the topic was recreated meanwhile.
    """
    reader.assign(list(ends))
    reader.seek_to_beginning(*ends)
    for partition, begin in (begins or {}).items():
        reader.seek(partition, begin)
    unfinished = {partition for partition, end in ends.items() if reader.position(partition) < end}
    reached: list[int] = []
    silent_polls = 0
    while unfinished:
        polled = reader.poll(timeout_ms=_POLL_MS, max_records=2000)
        for partition, batch in polled.items():
            yield from (consumed for consumed in batch if consumed.offset < ends[partition])
        # Markers of transactions move the positions too.
        before, reached = reached, [reader.position(partition) for partition in ends]
        # Polls are counted, because the caller may take long between two of them.
        silent_polls = 0 if polled or reached != before else silent_polls + 1
        check_silence(silent_polls * _POLL_MS / 1000)
        # Compare positions, not the offsets of records: the last offsets may be markers of transactions.
        finished = {partition for partition in unfinished if reader.position(partition) >= ends[partition]}
        unfinished -= finished
        reader.pause(*finished)


def latest(entries: Iterable[tuple[str, Kept | None]]) -> dict[str, Kept]:
    """What compaction makes of keys and values: the last value of each key, without the keys that ended with None.

    A key stays in the place of its first value, as long as it is not deleted in between.
    """
    values: dict[str, Kept] = {}
    for key, value in entries:
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
    return values


def latest_events(
    kafka: KafkaSettings, topic: Topic, kind: type[EventType], keep: Callable[[EventType], Kept | None]
) -> dict[str, Kept]:
    """For each key of a compacted topic, what `keep` returns for its latest event; all read up to the present end.

    A key is left out where its last record is a tombstone, or where `keep` returns None for its last event. `keep` is
    called for each event while the topic is read, so that memory is needed only for what it returns.
    """
    messages = (received.message for received in read_to_end(kafka, topic))
    return latest(
        (message.key, keep(message) if isinstance(message, kind) else None)
        for message in messages
        if isinstance(message, kind | Tombstone)
    )


Entries = Iterable[tuple[str, bytes | None]]
"""Keys and values in the order of a topic; None: a tombstone."""


def latest_values(
    kafka: KafkaSettings,
    topic: Topic,
    see: Callable[[str, Record], None] | None = None,
    filtered: Callable[[Entries], Entries] = lambda entries: entries,
) -> dict[str, bytes]:
    """For each key of a compacted topic, its latest value as bytes; all read up to the present end.

    Faster than `latest_events`, since nothing is decoded. A record whose key is not UTF-8 is skipped. `see` is called
    with the key of each record, tombstones included, and the record. `filtered` may put None in place of values while
    the topic is read: memory is needed only for those that it leaves.
    """
    records = _with_text_keys(_to_end(kafka, topic))
    return latest(filtered((key, consumed.value) for key, consumed in (_seen(records, see) if see else records)))


class Log(AbstractContextManager["Log"]):
    """Random access to a topic of one partition. Its connection is closed at the end of the context.

    Committed records only; those that cannot be decoded are skipped. One caller at a time.
    """

    def __init__(self, kafka: KafkaSettings, topic: Topic) -> None:
        self._partition = TopicPartition(topic.name, 0)
        self._reader = clients.consumer(kafka)
        self._reader.assign([self._partition])

    def next(self, offset: int, max_records: int) -> tuple[list[Received], int]:
        """The records from `offset` on that the broker has sent, without waiting; and the offset to continue from."""
        return self._poll(offset, max_records, timeout_ms=_NO_WAIT_MS)

    def at(self, offsets: Collection[int]) -> list[Received]:
        """The records at these offsets, ascending. Those that compaction has deleted are missing.

        Raises kafka.errors.KafkaTimeoutError where the broker sends nothing for a while.
        """
        end = self._reader.end_offsets([self._partition])[self._partition]
        records: list[Received] = []
        wanted = {offset for offset in offsets if offset < end}
        unread = sorted(wanted)
        silence = Silence()
        while unread:
            received, position = self._poll(unread[0], len(unread), timeout_ms=_POLL_MS)
            records += [record for record in received if record.offset in wanted]
            silence.look(position > unread[0])
            unread = [offset for offset in unread if offset >= position]
        return records

    def _poll(self, offset: int, max_records: int, timeout_ms: int) -> tuple[list[Received], int]:
        if self._reader.position(self._partition) != offset:
            self._reader.seek(self._partition, offset)
        polled = self._reader.poll(timeout_ms=timeout_ms, max_records=max_records).get(self._partition, ())
        decoded = map(decode_record, polled)
        received = [record for record in decoded if isinstance(record, Received)]
        return received, self._reader.position(self._partition)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def partitions_of(reader: KafkaConsumer, topic: Topic) -> list[TopicPartition]:
    """The partitions a topic has on the broker."""
    return [TopicPartition(topic.name, number) for number in sorted(reader.partitions_for_topic(topic.name) or ())]


def end_of(kafka: KafkaSettings, topic: Topic, *, with_open: bool = False) -> Positions:
    """The end of each partition of a topic: after its last record before any transaction that is open.

    with_open: after its last record.
    """
    reader = clients.consumer(kafka, isolation_level="read_uncommitted" if with_open else "read_committed")
    try:
        return as_positions(reader.end_offsets(partitions_of(reader, topic)))
    finally:
        reader.close()


def beginning_of(kafka: KafkaSettings, topic: Topic) -> Positions:
    """The beginning of each partition of a topic: its first record, if it has any."""
    reader = clients.consumer(kafka)
    try:
        return as_positions(reader.beginning_offsets(partitions_of(reader, topic)))
    finally:
        reader.close()


def offset_at(kafka: KafkaSettings, topic: Topic, time: datetime) -> int | None:
    """The first offset of a topic of one partition with a record of `time` or later; None where there is none."""
    reader = clients.consumer(kafka)
    try:
        # The client takes no moment before 1970, when there was nothing either.
        since_ms = max(0, int(time.timestamp() * 1000))
        (found,) = reader.offsets_for_times({TopicPartition(topic.name, 0): since_ms}).values()
        return None if found is None else int(found.offset)
    finally:
        reader.close()


def as_positions(offsets: Mapping[TopicPartition, int]) -> Positions:
    """Offsets as kafka-python gives them."""
    return {(partition.topic, partition.partition): int(offset) for partition, offset in offsets.items()}


def _to_end(kafka: KafkaSettings, topic: Topic) -> Iterator[Any]:
    reader = clients.consumer(kafka)
    try:
        partitions = partitions_of(reader, topic)
        yield from read_before(reader, reader.end_offsets(partitions))
    finally:
        reader.close()


def _decoded(records: Iterable[Any]) -> Iterator[Received]:
    for consumed in records:
        decoded = decode_record(consumed)
        if isinstance(decoded, Received):
            yield decoded
        else:
            log.warning("skipped", topic=consumed.topic, partition=consumed.partition, offset=consumed.offset)


def _seen(records: Iterable[tuple[str, Any]], see: Callable[[str, Record], None]) -> Iterator[tuple[str, Any]]:
    for key, consumed in records:
        see(key, Record(consumed.key, consumed.value, tuple(consumed.headers)))
        yield key, consumed


def _with_text_keys(records: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for consumed in records:
        try:
            yield (consumed.key or b"").decode(), consumed
        except UnicodeDecodeError:
            log.warning("skipped", topic=consumed.topic, offset=consumed.offset, reason="the key is not UTF-8")

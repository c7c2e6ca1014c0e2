"""Reading without a group: all committed records of a topic from its beginning up to a point."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from types import TracebackType
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition

from schemas.codec import InvalidRecord, decode
from schemas.dead_letters import decode_dead_letter
from schemas.topics import DEAD_LETTERS, Record, Topic, topic_named
from settings import KafkaSettings
from stream import clients
from stream.records import Consumed, Positions, Received, Rejected

log = structlog.get_logger()

_topic_named = cache(topic_named)

# Long enough to take what a broker has sent meanwhile.
_GLANCE_MS = 10


def understand(consumed: Any) -> Received | Rejected:  # noqa: ANN401
    """A record as kafka-python gives it, decoded; Rejected with the reason where that is not possible."""
    record = Record(consumed.key, consumed.value, tuple(consumed.headers))
    place = (consumed.topic, consumed.partition, consumed.offset, record)
    topic = _topic_named(consumed.topic)
    try:
        message = decode_dead_letter(record) if topic is DEAD_LETTERS else decode(topic, record)
    except InvalidRecord as error:
        return Rejected(Consumed(*place), str(error))
    return Received(*place, message)


def read_to_end(kafka: KafkaSettings, topic: Topic) -> Iterator[Received]:
    """All committed records of a topic from its beginning to its present end, in the order of each partition.

    Records that cannot be decoded are passed over: the consumer whose work they are sends them to `dead-letters`.
    """
    return _understood(_to_end(kafka, topic))


def latest_values(kafka: KafkaSettings, topic: Topic) -> dict[str, bytes]:
    """What a compacted topic comes to: the last value of each key that has one, as bytes.

    Decoding would take longer than all the rest. A key that is not UTF-8 is passed over.
    """
    latest: dict[str, bytes] = {}
    for consumed in _to_end(kafka, topic):
        try:
            key = consumed.key.decode()
        except UnicodeDecodeError:
            log.warning("passed over", topic=consumed.topic, offset=consumed.offset, reason="the key is not UTF-8")
            continue
        if consumed.value is None:
            latest.pop(key, None)
        else:
            latest[key] = consumed.value
    return latest


def read_until(kafka: KafkaSettings, positions: Positions, start: Positions | None = None) -> Iterator[Received]:
    """All committed records before these positions, from the beginning or from `start` on; the same rule for others."""
    reader = clients.consumer(kafka)
    begins = {TopicPartition(*partition): offset for partition, offset in (start or {}).items()}
    ends = {TopicPartition(*at): offset for at, offset in positions.items()}
    try:
        yield from _understood(_read(reader, ends, begins))
    finally:
        reader.close()


class Log(AbstractContextManager["Log"]):
    """A topic of one partition, read here and there. Its connection is closed at the end of the context.

    Committed records only; those that cannot be decoded are passed over. One caller at a time.
    """

    def __init__(self, kafka: KafkaSettings, topic: Topic) -> None:
        self._at = TopicPartition(topic.name, 0)
        self._reader = clients.consumer(kafka)
        self._reader.assign([self._at])

    def next(self, offset: int, max_records: int) -> tuple[list[Received], int]:
        """Records from `offset` on, as far as they have come, without waiting; and the offset to go on from."""
        return self._poll(offset, max_records, timeout_ms=_GLANCE_MS)

    def at(self, offsets: Collection[int]) -> list[Received]:
        """The records at these offsets, ascending. Those that compaction has taken away are missing."""
        end = self._reader.end_offsets([self._at])[self._at]
        found: list[Received] = []
        asked = {offset for offset in offsets if offset < end}
        wanted = sorted(asked)
        while wanted:
            received, position = self._poll(wanted[0], len(wanted), timeout_ms=500)
            found += [it for it in received if it.offset in asked]
            wanted = [offset for offset in wanted if offset >= position]
        return found

    def _poll(self, offset: int, max_records: int, timeout_ms: int) -> tuple[list[Received], int]:
        if self._reader.position(self._at) != offset:
            self._reader.seek(self._at, offset)
        polled = self._reader.poll(timeout_ms=timeout_ms, max_records=max_records).get(self._at, ())
        understood = map(understand, polled)
        return [it for it in understood if isinstance(it, Received)], self._reader.position(self._at)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._reader.close()


def partitions_of(reader: KafkaConsumer, topic: Topic) -> list[TopicPartition]:
    """The partitions a topic has on the broker."""
    return [TopicPartition(topic.name, number) for number in sorted(reader.partitions_for_topic(topic.name) or ())]


def _to_end(kafka: KafkaSettings, topic: Topic) -> Iterator[Any]:
    reader = clients.consumer(kafka)
    try:
        partitions = partitions_of(reader, topic)
        yield from _read(reader, reader.end_offsets(partitions), {})
    finally:
        reader.close()


def _read(reader: KafkaConsumer, ends: dict[TopicPartition, int], begins: dict[TopicPartition, int]) -> Iterator[Any]:
    """Records as kafka-python gives them."""
    reader.assign(list(ends))
    reader.seek_to_beginning(*ends)
    for partition, begin in begins.items():
        reader.seek(partition, begin)
    unfinished = {partition for partition, end in ends.items() if reader.position(partition) < end}
    while unfinished:
        for partition, batch in reader.poll(timeout_ms=500, max_records=2000).items():
            yield from (consumed for consumed in batch if consumed.offset < ends[partition])
        # Positions, not records, tell the end: the last offsets may be markers of transactions.
        finished = {partition for partition in unfinished if reader.position(partition) >= ends[partition]}
        unfinished -= finished
        reader.pause(*finished)


def _understood(records: Iterable[Any]) -> Iterator[Received]:
    for consumed in records:
        understood = understand(consumed)
        if isinstance(understood, Received):
            yield understood
        else:
            log.warning("passed over", topic=consumed.topic, offset=consumed.offset, reason=understood.reason)

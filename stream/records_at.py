"""Reading single records of a topic by their positions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator

from kafka import KafkaConsumer, TopicPartition

from settings import KafkaSettings
from stream import clients
from stream.reading import decode_record
from stream.records import Received
from stream.silence import Silence

# What lies between two wanted records is read through, unless it is more than this.
_READ_THROUGH = 100
# What the broker sends for a wanted record: so much of what follows, or the record alone where it is larger.
_FETCH_BYTES = 256 * 1024


def records_at(kafka: KafkaSettings, topic: str, positions: Collection[tuple[int, int]]) -> Iterator[Received]:
    """The records at these positions (partition and offset), in the order of each partition.

    Those that compaction has deleted and those that cannot be decoded are left out. Raises
    kafka.errors.KafkaTimeoutError where the broker sends nothing for a while.
    """
    offsets = defaultdict(set)
    for number, offset in positions:
        offsets[number].add(offset)
    reader = clients.consumer(kafka, max_partition_fetch_bytes=_FETCH_BYTES)
    try:
        for number, wanted in sorted(offsets.items()):
            yield from _records(reader, TopicPartition(topic, number), wanted)
    finally:
        reader.close()


def _records(reader: KafkaConsumer, partition: TopicPartition, wanted: Collection[int]) -> Iterator[Received]:
    reader.assign([partition])
    end = reader.end_offsets([partition])[partition]
    unread = sorted(offset for offset in wanted if offset < end)
    first, position, silence = 0, -_READ_THROUGH - 1, Silence()
    while first < len(unread):
        if unread[first] - position > _READ_THROUGH:
            position = unread[first]
            reader.seek(partition, position)
        last = unread[bisect_right(unread, position + _READ_THROUGH) - 1]
        for consumed in reader.poll(timeout_ms=500, max_records=last - position + 1).get(partition, ()):
            if consumed.offset in wanted and isinstance(received := decode_record(consumed), Received):
                yield received
        reached = reader.position(partition)
        silence.look(reached > position)
        position = reached
        first = bisect_left(unread, position, first)

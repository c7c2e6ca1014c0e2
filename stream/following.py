"""Following a topic of one partition: all its records, and time and again those that came since.

What is kept of them is true of this topic only. One that was deleted and recreated, or restored from a backup, has
other records at the same offsets, or ends before them: it is read again from its beginning.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

import structlog
from kafka import TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import decode_record
from stream.records import Received
from stream.silence import Silence

log = structlog.get_logger()

# So soon it is known that a topic was recreated which has more records than were read of the former one.
_METADATA_AGE_MS = 30_000
_MOST_AT_ONCE = 2000
_POLL_MS = 100


@dataclass(frozen=True)
class News:
    """The records since the last look. is_another: they are all that the topic has, which is not the one of before."""

    received: list[Received]
    is_another: bool = False


class Follower(AbstractContextManager["Follower"]):
    """Follows a topic of one partition, from an offset on. Its connection is closed at the end of the context.

    Committed records only; those that cannot be decoded are skipped. One caller at a time.
    """

    def __init__(self, kafka: KafkaSettings, topic: Topic, start: int = 0) -> None:
        """start: the offset to begin at. Raises errors.Fatal where the broker does not answer."""
        self._partition = TopicPartition(topic.name, 0)
        # Where the topic does not continue at the offset to read next, that is an error.
        self._reader = clients.consumer(kafka, auto_offset_reset="none", metadata_max_age_ms=_METADATA_AGE_MS)
        self._reader.assign([self._partition])
        if start:
            self._reader.seek(self._partition, start)
        else:
            self._reader.seek_to_beginning(self._partition)
        self._topic_id: object = None

    def news(self) -> News:
        """All records up to the present end of the topic that were not read before.

        Raises kafka.errors.KafkaTimeoutError where the broker sends nothing for a while, and other KafkaError where it
        does not answer.
        """
        try:
            return News(self._to_end())
        except (OffsetOutOfRangeError, LogTruncationError):
            log.warning(
                "the topic was recreated, or restored from a backup: it is read again", topic=self._partition.topic
            )
        self._topic_id = None
        self._reader.seek_to_beginning(self._partition)
        return News(self._to_end(), is_another=True)

    def _to_end(self) -> list[Received]:
        """Raises OffsetOutOfRangeError and LogTruncationError where this is not the topic that was read."""
        end = self._reader.end_offsets([self._partition])[self._partition]
        position = self._reader.position(self._partition)
        if end < position:
            raise OffsetOutOfRangeError
        records: list[Received] = []
        silence = Silence()
        while position < end:
            polled = self._reader.poll(timeout_ms=_POLL_MS, max_records=_MOST_AT_ONCE).get(self._partition, ())
            decoded = map(decode_record, polled)
            records += [record for record in decoded if isinstance(record, Received)]
            # Markers of transactions move it too.
            before, position = position, self._reader.position(self._partition)
            silence.look(position > before)
        self._check_id()
        return records

    def _check_id(self) -> None:
        present = self._reader._cluster.topic_id(self._partition.topic)
        if None not in (present, self._topic_id) and present != self._topic_id:
            raise OffsetOutOfRangeError
        self._topic_id = present or self._topic_id

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

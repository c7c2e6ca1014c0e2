"""The transactional producer of a member: outputs and offsets are committed together, or not at all."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog
from kafka.errors import KafkaTimeoutError

from schemas.base import Event
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS, Record, Tombstone, of_generation, topic_of
from settings import KafkaSettings
from stream import clients
from stream.dead_letters import MOST_BYTES, dead_letter_record, place_of
from stream.failures import first_refusal
from stream.growth import Growth
from stream.records import Headers, Output, Rejected
from telemetry.health import health

log = structlog.get_logger()

# How long the open transaction of a killed process that is not restarted may hold up readers.
_TIMEOUT_MS = 30_000

# Longer than the broker keeps a transaction open. Then this process ends, and its restart goes on. It happens where the
# broker that answers for this member was killed: kafka-python waits for that one.
_COMMITTED_WITHIN_S = 45.0
_ABORTED_WITHIN_S = 15.0
_BEGUN_WITHIN_S = 20.0
_CLOSED_WITHIN_S = 5.0


class Transactions:
    """Of the member `member_name` of `group`, to the topics of the clustering `generation`.

    most_letter_bytes: of the record in a dead letter at most so many are kept.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        member_name: str,
        generation: str | None,
        clock: Callable[[], datetime],
        headers_of: Callable[[Event | Tombstone], Headers],
    ) -> None:
        """headers_of: what is added to the headers of a record. Raises Fatal if the broker does not answer."""
        self.most_letter_bytes = MOST_BYTES
        self._group = group
        self._generation = generation
        self._clock = clock
        self._headers_of = headers_of
        self._kafka = kafka
        self._id = f"{group}-{member_name}"
        self._connect()
        self._begun_at = time.monotonic()

    @property
    def is_overdue(self) -> bool:
        """Whether the transaction is older than the broker lets one be: it is refused then, as a stranger's is."""
        return time.monotonic() - self._begun_at > _TIMEOUT_MS / 1000

    def begin(self, stop: threading.Event) -> None:
        """Abort what a killed process of this member has left open; waits until that is done, or for `stop`."""
        while not stop.is_set():
            health.turned()
            try:
                clients.bounded(self._producer.init_transactions, _BEGUN_WITHIN_S)
            except KafkaTimeoutError:
                # The broker that answers for this member was killed, say, and another takes its place. kafka-python
                # (3.0.12) may ask the former one for ever.
                log.warning("waiting for the broker to begin transactions", consumer=self._group)
                clients.close_producer(self._producer, within_s=0)
                self._connect()
            else:
                return

    def commit(
        self,
        outputs: Sequence[tuple[Output, Headers]],
        offsets: Any,  # noqa: ANN401 - as kafka-python takes them
        group_metadata: Any,  # noqa: ANN401
    ) -> Counter[str]:
        """Publish outputs, each with headers to add, and the offsets, in one transaction: how many records a topic got.

        Raises KafkaError where that failed, and Fatal where a topic was given more partitions; `abort` comes next.
        """
        topics: Counter[str] = Counter()
        sent: list[Any] = []
        self._begun_at = time.monotonic()
        self._producer.begin_transaction()
        transaction, now = uuid4().hex, self._clock()
        for number, (output, headers) in enumerate(outputs):
            topic, record = self._record(output, f"{transaction}-{number}", now)
            topics[topic] += 1
            key = clients.key_to_send(record)
            sent.append(self._producer.send(topic, value=record.value, key=key, headers=[*record.headers, *headers]))
        for topic in topics:
            self._growth.check(topic)
        clients.bounded(
            lambda: self._producer.send_offsets_to_transaction(offsets, group_metadata), _COMMITTED_WITHIN_S
        )
        clients.bounded(self._producer.commit_transaction, _COMMITTED_WITHIN_S, lambda: first_refusal(sent))
        return topics

    def begin_again(self, stop: threading.Event) -> None:
        """Go on after a record that was too large.

        Where kafka-python (3.0.12) had it in a batch with others, which it then splits, it neither commits nor aborts
        the transaction any more, and says nothing.
        """
        clients.close_producer(self._producer, within_s=0)
        self._connect()
        self.begin(stop)

    def abort(self) -> None:
        """Abort the present transaction. Raises KafkaError."""
        clients.bounded(self._producer.abort_transaction, _ABORTED_WITHIN_S)

    def close(self) -> None:
        """Close the connection; a transaction that is open is aborted by the next start, or by the broker."""
        clients.close_producer(self._producer, _CLOSED_WITHIN_S)

    def _connect(self) -> None:
        self._producer = clients.producer(self._kafka, transactional_id=self._id, transaction_timeout_ms=_TIMEOUT_MS)
        self._growth = Growth(self._producer)

    def _record(self, output: Output, event_id: str, now: datetime) -> tuple[str, Record]:
        """The name of the topic that an output is published to, and its record."""
        if isinstance(output, Rejected):
            # Where it is: the reason may quote what the record holds, which no log is to have.
            log.warning("dead letter", **place_of(output))
            record = dead_letter_record(output, self._group, now, self.most_letter_bytes)
            return DEAD_LETTERS.name, record
        topic = output.topic if isinstance(output, Tombstone) else topic_of(output)
        topic = of_generation(topic, self._generation)
        record = encode(output, event_id=event_id, time=now, source=f"facestream/{self._group}")
        further = self._headers_of(output)
        return topic.name, replace(record, headers=(*record.headers, *further)) if further else record

"""The loop of a consumer that writes into a store of its own, which keeps its offsets beside the rows.

The order of a commit: the store takes rows and offsets in one transaction of its own; after that the offsets are
committed to Kafka too, so that the lag of every consumer can be read in one way. On a start the store's offsets count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

import structlog
from kafka import KafkaProducer
from kafka.errors import CommitFailedError

from errors import Retriable
from schemas.topics import DEAD_LETTERS, Topic
from settings import KafkaSettings
from stream import clients
from stream.dead_letters import dead_letter_record
from stream.failures import kafka_errors_are_fatal
from stream.member import Batch, Member
from stream.records import Positions, Received, Rejected

log = structlog.get_logger()

# A transaction costs the store more than a few rows do: after a small batch the loop waits, so that the next is larger.
_FEW = 50
_GATHER_S = 0.3


class Sink(Protocol):
    """A store. Both calls raise Retriable while it is away."""

    def positions(self) -> Positions:
        """The offsets to read next, as the store has them."""

    def write(self, received: Sequence[Received], positions: Positions) -> None:
        """Take records and the offsets after them, in one transaction."""


def drain(
    kafka: KafkaSettings,
    group: str,
    member_name: str,
    topics: Sequence[Topic],
    sink: Sink,
    *,
    reports: Collection[Topic],
    max_records: int,
    stop: threading.Event,
    clock: Callable[[], datetime],
) -> None:
    """Write topics into a sink until `stop` is set.

    A record that cannot be decoded becomes a dead letter if its topic is among `reports`; records of the other topics
    are reported by the consumers that process them. Raises Fatal.
    """
    producer = clients.producer(kafka)
    member = Member(kafka, group, member_name, topics, stop)
    reported = {topic.name for topic in reports}
    try:
        with kafka_errors_are_fatal(kafka, group, member_name):
            while not stop.is_set():
                try:
                    if member.reassigned:
                        _take_assignment(member, sink)
                    batch = member.poll(max_records)
                    if member.reassigned:
                        continue
                    rejected = [one for one in batch.rejected if one.consumed.topic in reported]
                    _publish_dead_letters(producer, rejected, group, clock)
                    _write(member, sink, batch)
                    if len(batch.received) < _FEW:
                        stop.wait(_GATHER_S)
                except Retriable:
                    # Only `stop` ends the waiting for a retriable error; the store has taken nothing of the batch.
                    log.warning("stopped while waiting to try again", consumer=group)
    finally:
        member.close()
        producer.close(timeout=5)


def _take_assignment(member: Member, sink: Sink) -> None:
    assigned = member.take_assignment()
    stored = member.work(sink.positions)
    if not member.reassigned:
        member.seek({partition: stored.get(partition, 0) for partition in assigned})


def _publish_dead_letters(
    producer: KafkaProducer, rejected: Sequence[Rejected], group: str, clock: Callable[[], datetime]
) -> None:
    for one in rejected:
        record = dead_letter_record(one, group, clock())
        producer.send(DEAD_LETTERS.name, value=record.value, key=record.key, headers=list(record.headers))
    if rejected:
        # Before the offsets: a process that ends in between publishes them a second time, and loses none.
        producer.flush()


def _write(member: Member, sink: Sink, batch: Batch) -> None:
    if batch.positions:
        member.work(lambda: sink.write(batch.received, batch.positions))
    if member.reassigned:
        return
    try:
        # An empty batch may still have moved the positions, over markers of transactions.
        member.commit(batch.positions or member.positions())
    except CommitFailedError:
        # A rebalance came in between. The store has the offsets; the next owner reads them there.
        member.invalidate()

"""The loop of a consumer that writes into a store of its own, which keeps its offsets beside the rows.

The order of a commit: the store takes rows and offsets in one transaction of its own; after that the offsets are
committed to Kafka too, so that the lag of every consumer can be read in one way. On a start the store's offsets count.

Where a topic does not continue at the store's offsets (stream/continuity.py), the store drops what it has of the
topic, and all that is left of it is read again: the store is a view of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog
from kafka.errors import CommitFailedError, KafkaError

from errors import Retriable
from schemas.topics import DEAD_LETTERS, Topic, topic_named
from settings import KafkaSettings
from stream import clients
from stream.continuity import Break, Checkpoints, Kind
from stream.dead_letters import FEW_BYTES, MOST_BYTES, dead_letter_record, place_of
from stream.failures import is_too_large, kafka_errors_are_fatal
from stream.flood import FloodGuard
from stream.measuring import Measures
from stream.member import Batch, Member
from stream.records import Positions, Received, Rejected

log = structlog.get_logger()

# A transaction costs the store more than a few rows do: after a small batch the loop waits, so that the next is larger.
_FEW = 50
_GATHER_S = 0.1


class Sink(Protocol):
    """A store. All calls raise Retriable while it is away."""

    def checkpoints(self) -> Checkpoints:
        """What the store has of each partition."""

    def write(
        self,
        received: Sequence[Received],
        since: Positions,
        checkpoints: Checkpoints,
        refuse: Callable[[Rejected], None],
    ) -> bool:
        """Take records and what is read with them. `refuse` is called with each record that is refused, once that is
        in the store; also where this call fails afterwards.

        False where it has not taken all, because the store has not read up to `since`, as this member has left it:
        another member has made it drop a topic meanwhile.
        """

    def tend(self) -> None:
        """Do work of its own, if there is any: before the first write after `checkpoints`, and when little is read."""

    def drop(self, topic: str, had: Checkpoints, beginning: Checkpoints, why: str) -> None:
        """Drop what came from a topic, and that it was read further than `beginning`, which has all its partitions.

        Does nothing where the store has another state of the topic than `had`: another member has done it. Raises
        Fatal, with the reason `why`, where nobody else may have what would be dropped.
        """


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
    are reported by the consumers that process them. One that the sink refuses becomes a dead letter too. Raises Fatal.
    """
    letters = _DeadLetters(kafka, group, clock)
    positions: Positions = {}
    member = Member(kafka, group, member_name, topics, stop)
    reported = {topic.name for topic in reports}
    flood = FloodGuard(group, kafka.most_dead_letters)
    measures = Measures(group)
    try:
        with kafka_errors_are_fatal(kafka, group, member_name):
            while not stop.is_set():
                try:
                    if member.reassigned:
                        measures.restoring()
                        positions = _take_assignment(member, sink, group)
                        measures.restored(takes_part=bool(positions))
                    batch = member.poll(max_records)
                    if member.reassigned:
                        continue
                    measures.look(member)
                    rejected = [one for one in batch.rejected if one.consumed.topic in reported]
                    records = len(batch.received) + len(batch.rejected)
                    flood.check(records, rejected)
                    letters.publish(rejected)
                    measures.steps(batch.received)
                    refused: list[Rejected] = []
                    try:
                        positions = _write(member, sink, batch, positions, refused.append)
                    finally:
                        # The store has them already, so that nobody comes by them again.
                        letters.publish(refused)
                    dead = [*rejected, *refused]
                    flood.check(records, dead)
                    measures.rejected(dead)
                    if batch.positions and not member.reassigned:
                        flood.count(records, dead)
                        measures.stepped()
                        measures.read(batch)
                    if len(batch.received) < _FEW:
                        if member.assigned:
                            member.work(sink.tend)
                        stop.wait(_GATHER_S)
                except Retriable:
                    # Only `stop` ends the waiting for a retriable error; the store has taken nothing of the batch.
                    log.warning("stopped while waiting to try again", consumer=group)
    finally:
        member.close()
        letters.close()
        measures.close()


def _take_assignment(member: Member, sink: Sink, group: str) -> Positions:
    """Begin to read where the store has read up to; the positions."""
    member.take_assignment()
    stored = member.work(sink.checkpoints)
    positions, breaks = member.continue_from(stored)
    for one in breaks:
        if not _only_expired(one):
            beginning = member.topics.checkpoints(member.topics.beginnings(one.topic))
            had = {partition: checkpoint for partition, checkpoint in stored.items() if partition[0] == one.topic}
            member.work(partial(sink.drop, one.topic, had, beginning, one.line))
            positions = {**positions, **{it: begin.offset for it, begin in beginning.items() if it in positions}}
        log.warning(f"{one.line}: {_consequence(one)}", consumer=group)
    if not member.reassigned:
        member.seek(positions)
    if positions:
        member.work(sink.tend)
    return positions


def _only_expired(one: Break) -> bool:
    """Whether only the retention of a log came first: what is older is in the store, and nowhere else."""
    return one.kind is Kind.DELETED and topic_named(one.topic).retention is not None


def _consequence(one: Break) -> str:
    if _only_expired(one):
        return "these are missing here; run this consumer more often than the topic's retention"
    return f"all that is left of it is read again; {topic_named(one.topic).way_back}"


class _DeadLetters:
    """The way to `dead-letters`. Published before the offsets: a process that ends in between publishes them a second
    time, and loses none. Those that the sink has refused it has itself as well."""

    def __init__(self, kafka: KafkaSettings, group: str, clock: Callable[[], datetime]) -> None:
        self._kafka = kafka
        self._group = group
        self._clock = clock
        self._most_bytes = MOST_BYTES
        self._producer = clients.producer(kafka)

    def publish(self, rejected: Sequence[Rejected]) -> None:
        """Publish them; the broker has confirmed them on return. Raises KafkaError."""
        for one in rejected:
            log.warning("dead letter", **place_of(one))
            try:
                self._send(one)
            except KafkaError as error:
                if not is_too_large(error) or self._most_bytes == FEW_BYTES:
                    raise
                # A producer that was refused once sends nothing more.
                self.close()
                self._producer = clients.producer(self._kafka)
                self._most_bytes = FEW_BYTES
                self._send(one)

    def _send(self, rejected: Rejected) -> None:
        record = dead_letter_record(rejected, self._group, self._clock(), self._most_bytes)
        key, headers = clients.key_to_send(record), list(record.headers)
        self._producer.send(DEAD_LETTERS.name, value=record.value, key=key, headers=headers).get()

    def close(self) -> None:
        """Close the connection."""
        clients.close_producer(self._producer, within_s=5)


def _write(member: Member, sink: Sink, batch: Batch, since: Positions, refuse: Callable[[Rejected], None]) -> Positions:
    """Write a batch where the store has read up to `since`; what it has read up to now."""
    # An empty batch may still have moved the positions, over markers of transactions.
    positions = batch.positions or member.positions()
    if batch.positions:
        checkpoints = member.topics.checkpoints(positions)
        if not member.work(lambda: sink.write(batch.received, since, checkpoints, refuse)):
            member.invalidate()
    if member.reassigned:
        return since
    try:
        member.commit(positions)
    except CommitFailedError:
        # A rebalance came in between. The store has the offsets; the next owner reads them there.
        member.invalidate()
    return {**since, **batch.positions}

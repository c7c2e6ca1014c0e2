"""The loop of a consumer that writes into a store of its own, which keeps its offsets beside the rows.

The order of a commit: the store takes rows and offsets in one transaction of its own; after that the offsets are told
to Kafka too, so that the lag of every consumer is seen in one place. On a start the store's offsets are the truth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

import structlog
from kafka import KafkaProducer
from kafka.errors import CommitFailedError, FencedInstanceIdError, KafkaError

from errors import Fatal, Retriable
from schemas.dead_letters import encode_dead_letter
from schemas.topics import DEAD_LETTERS, Topic
from settings import KafkaSettings
from stream import clients
from stream.member import Batch, Member
from stream.records import Positions, Received, Rejected
from stream.transform import dead_letter

log = structlog.get_logger()

# A transaction costs the store more than the few rows that it is for: where little comes, more is waited for.
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

    A record that cannot be understood becomes a dead letter if its topic is among `reports`; elsewhere another
    consumer, whose work it is, reports it. Raises Fatal.
    """
    producer = clients.producer(kafka)
    member = Member(kafka, group, member_name, topics, stop)
    reported = {topic.name for topic in reports}
    try:
        while not stop.is_set():
            try:
                if member.reassigned:
                    _settle(member, sink)
                batch = member.poll(max_records)
                if member.reassigned:
                    continue
                bad = [rejected for rejected in batch.rejected if rejected.consumed.topic in reported]
                _report(producer, bad, group, clock)
                _write(member, sink, batch)
                if len(batch.received) < _FEW:
                    stop.wait(_GATHER_S)
            except Retriable:
                log.warning("stopped while waiting to try again", consumer=group)
    except FencedInstanceIdError as error:
        raise Fatal(f"another {group} has taken over as member {member_name!r}: give each its own --member") from error
    except KafkaError as error:
        raise Fatal(f"{group} lost the Kafka broker at {kafka.bootstrap_servers} ({error})") from error
    finally:
        member.close()
        producer.close(timeout=5)


def _settle(member: Member, sink: Sink) -> None:
    assigned = member.settle()
    stored = member.work(sink.positions)
    if not member.reassigned:
        member.seek({at: stored.get(at, 0) for at in assigned})


def _report(producer: KafkaProducer, bad: Sequence[Rejected], group: str, clock: Callable[[], datetime]) -> None:
    for rejected in bad:
        record = encode_dead_letter(dead_letter(rejected, group, clock()))
        producer.send(DEAD_LETTERS.name, value=record.value, key=record.key, headers=list(record.headers))
    if bad:
        producer.flush()


def _write(member: Member, sink: Sink, batch: Batch) -> None:
    if batch.positions:
        member.work(lambda: sink.write(batch.received, batch.positions))
    if member.reassigned:
        return
    try:
        member.tell(batch.positions or member.positions())
    except CommitFailedError:
        # A rebalance came in between. The store has the offsets; the next owner reads them there.
        member.distrust()

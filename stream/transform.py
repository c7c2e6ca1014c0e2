"""The one consume-transform-produce loop: what detect, index and cluster run on.

The order of a commit:

1. The step has returned its outputs; its state may be ahead of what is committed from here to 5.
2. A transaction is begun.
3. Outputs and dead letters are sent in it.
4. The offsets to read next are sent in it, with the membership that was held *before* the step: after a rebalance the
   broker refuses them (KIP-447).
5. The transaction is committed: outputs and offsets are there together, or neither is.

Where 2 to 5 fail, the transaction is aborted, the state is thrown away and opened again at the committed offsets. A
process that dies leaves an open transaction, which its restart (same transactional id) aborts at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog
from kafka import KafkaProducer
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
)

from errors import Fatal, Retriable
from schemas.codec import encode
from schemas.dead_letters import DeadLetter, encode_dead_letter
from schemas.topics import DEAD_LETTERS, Record, Tombstone, Topic, of_generation, topic_of
from settings import KafkaSettings
from stream import clients
from stream.member import Batch, Member, as_offsets
from stream.records import Output, Positions, Rejected, RestoredStep

log = structlog.get_logger()

# How long an open transaction of a dead process that does not come back may hold up readers.
_TRANSACTION_TIMEOUT_MS = 30_000

_SAVE_EVERY_S = 300.0

# How long to wait for a record before a step may do work of its own, and between two pieces of that work.
_WAIT_MS, _GLANCE_MS = 200, 10

# What a step has to say when it is opened may be all of an archive: so many records a transaction.
_OPENING_CHUNK = 10_000


def transform(
    kafka: KafkaSettings,
    group: str,
    member_name: str,
    topics: Sequence[Topic],
    restore_step: Callable[[Positions], RestoredStep],
    *,
    max_records: int,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str | None = None,
) -> None:
    """Run a step over topics until `stop` is set; the batch at hand is then brought to its end.

    `restore_step` is called whenever partitions come or go: it gives a step whose state stands for all records before
    the positions it is given. Each batch has at most `max_records` records. Outputs go to the topics of `generation`,
    dead letters to the one there is. Raises Fatal.
    """
    producer = clients.producer(
        kafka, transactional_id=f"{group}-{member_name}", transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
    )
    member = Member(kafka, group, member_name, topics, stop)
    try:
        producer.init_transactions()
        _Loop(group, member, producer, restore_step, max_records, clock, generation).run(stop)
    except (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError) as error:
        raise Fatal(f"another {group} has taken over as member {member_name!r}: give each its own --member") from error
    except KafkaError as error:
        raise Fatal(f"{group} lost the Kafka broker at {kafka.bootstrap_servers} ({error})") from error
    finally:
        member.close()
        producer.close(timeout=5)


class _Loop:
    def __init__(
        self,
        group: str,
        member: Member,
        producer: KafkaProducer,
        restore_step: Callable[[Positions], RestoredStep],
        max_records: int,
        clock: Callable[[], datetime],
        generation: str | None,
    ) -> None:
        self._group = group
        self._generation = generation
        self._member = member
        self._producer = producer
        self._open_step = restore_step
        self._max_records = max_records
        self._clock = clock
        self._opened = _STANDBY
        self._committed: Positions = {}
        self._note = ""
        self._at_work = False
        self._saved: Positions = {}
        self._saved_at = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                if self._member.reassigned:
                    self._open()
                batch = self._member.poll(self._max_records, timeout_ms=_GLANCE_MS if self._at_work else _WAIT_MS)
                if self._member.reassigned:
                    continue
                if batch.positions:
                    self._process(batch)
                else:
                    self._commit_idle()
                self._at_work = not batch.positions and self._idle()
                if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                    self._save()
            except Retriable:
                # Only `stop` ends the waiting for a retriable error; nothing of the batch is committed.
                log.warning("stopped while waiting to try again")
        self._save()

    def _open(self) -> None:
        positions = self._member.settle()
        generation = self._member.generation
        self._opened, self._committed, self._saved = _STANDBY, positions, positions
        self._note = self._member.note
        if not positions:
            log.info("standing by", consumer=self._group)
            return
        opened = self._member.work(lambda: self._open_step(positions))
        if self._member.reassigned:
            return
        log.info("taking part", consumer=self._group, partitions=sorted(positions))
        self._member.seek(positions)
        self._opened = opened
        for start in range(0, len(opened.outputs), _OPENING_CHUNK):
            if not self._member.reassigned:
                self._commit(opened.outputs[start : start + _OPENING_CHUNK], {}, generation)

    def _process(self, batch: Batch) -> None:
        generation = self._member.generation
        outputs = self._member.work(lambda: self._opened.step(batch.received)) if batch.received else ()
        if not self._member.reassigned:
            self._commit([*batch.rejected, *outputs], batch.positions, generation)

    def _idle(self) -> bool:
        """Work of the step's own; False: it has none now."""
        generation = self._member.generation
        outputs, note = self._member.work(lambda: self._opened.idle(self._note))
        if (outputs or note != self._note) and not self._member.reassigned:
            self._commit(outputs, {}, generation, note)
            return True
        return False

    def _save(self) -> None:
        """Keep the state where it has moved on: what it stands for is committed, so a restart may begin there."""
        self._saved_at = time.monotonic()
        save, committed = self._opened.save, self._committed
        if save is not None and committed != self._saved and not self._member.reassigned:
            self._member.work(lambda: save(committed))
            self._saved = committed

    def _commit(
        self,
        outputs: Sequence[Output],
        positions: Positions,
        generation: Any,  # noqa: ANN401
        note: str | None = None,
    ) -> None:
        """Steps 2 to 5 of the order above. Without a new note the last one stays beside the offsets."""
        note = self._note if note is None else note
        try:
            self._producer.begin_transaction()
            transaction, moment = uuid4().hex, self._clock()
            for number, output in enumerate(outputs):
                topic, record = self._record(output, f"{transaction}-{number}", moment)
                self._producer.send(topic, value=record.value, key=record.key, headers=list(record.headers))
            # Also where no offset has moved: it is by the offsets that the broker knows a member of the past.
            self._producer.send_offsets_to_transaction(as_offsets(positions or self._committed, note), generation)
            self._producer.commit_transaction()
        except (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError):
            raise
        except MessageSizeTooLargeError as error:
            raise Fatal(f"{self._group} made a record that is larger than the topic takes ({error})") from error
        except KafkaError as error:
            log.warning("commit failed, starting again from the last one", consumer=self._group, reason=str(error))
            self._producer.abort_transaction()
            self._member.distrust()
        else:
            self._committed = {**self._committed, **positions}
            self._note = note

    def _commit_idle(self) -> None:
        """Where nothing but markers of transactions was left to read, say so: then a lag of 0 means all is done."""
        moved = {at: offset for at, offset in self._member.positions().items() if offset > self._committed.get(at, 0)}
        if moved and not self._member.reassigned:
            self._commit((), moved, self._member.generation)

    def _record(self, output: Output, event_id: str, time: datetime) -> tuple[str, Record]:
        if isinstance(output, Rejected):
            log.warning("dead letter", topic=output.consumed.topic, offset=output.consumed.offset, reason=output.reason)
            return DEAD_LETTERS.name, encode_dead_letter(dead_letter(output, self._group, time))
        topic = output.topic if isinstance(output, Tombstone) else topic_of(output)
        topic = of_generation(topic, self._generation)
        return topic.name, encode(output, event_id=event_id, time=time, source=f"facestream/{self._group}")


def dead_letter(rejected: Rejected, consumer: str, time: datetime) -> DeadLetter:
    """The dead letter that `consumer` writes for a record it cannot use."""
    at = rejected.consumed
    return DeadLetter(at.record, at.topic, at.partition, at.offset, consumer, rejected.reason, time)


def _refuse(_: Sequence[object]) -> Sequence[Output]:
    raise Fatal("a standby was given records")


_STANDBY = RestoredStep(_refuse)

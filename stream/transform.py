"""The consume-transform-produce loop of detect, index and cluster.

The order of a commit:

1. The step has returned its outputs; its state may be ahead of what is committed from here to 5.
2. A transaction is begun.
3. Outputs and dead letters are sent in it.
4. The offsets to read next are sent in it, with the group metadata from *before* the step: after a rebalance the broker
   refuses them (KIP-447).
5. The transaction is committed: readers see both outputs and offsets, or neither.

Where 2 to 5 fail, the transaction is aborted, the state is discarded and restored at the committed offsets. A process
that is killed leaves an open transaction, which its restart (same transactional id) aborts at once.

A `Publication` of many outputs takes several transactions. Each but the last one commits the offsets of before, and
beside them where the batch ends and that it is unfinished. The state is ahead of what is published until the last one.
Where one of them fails, or the process ends, the state is restored at the end of the batch, and the step returns the
outputs that are left; see chunks.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from errors import Fatal, Retriable
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS, Record, Tombstone, Topic, of_generation, topic_of
from settings import KafkaSettings
from stream import clients
from stream.chunks import chunks
from stream.dead_letters import dead_letter_record
from stream.failures import is_fenced, kafka_errors_are_fatal
from stream.member import Batch, Member, as_offsets
from stream.records import Headers, Output, Positions, Publication, Rejected, RestoredStep, Unfinished

log = structlog.get_logger()

# Logged when what is published is what the restored state says, and records are read next.
TAKING_PART = "taking part"

# How long the open transaction of a killed process that is not restarted may hold up readers.
_TRANSACTION_TIMEOUT_MS = 30_000

# Snapshots are written so often, but take no more than this share of the time: a snapshot is of everything, so it takes
# the longer the larger the archive is, and the consumer stands still meanwhile.
_SAVE_EVERY_S = 300.0
_SAVING_SHARE = 0.05

# How long to wait for a record before calling `idle`, and between two calls of it that both found work.
_WAIT_MS, _BUSY_WAIT_MS = 200, 10

# A publication may be of all of an archive: so many outputs in one transaction, which takes about a second.
CHUNK_OUTPUTS = 10_000


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
    """Run a step over topics until `stop` is set; the current transaction is then completed.

    Of a publication that takes several transactions the rest is left to the next start.
    `restore_step` is called whenever partitions are assigned or revoked: it returns a step whose state stands for all
    records before the positions it is called with. Each batch has at most `max_records` records. Outputs are published
    to the topics of the clustering `generation`; `dead-letters` is the same for all generations. Raises Fatal.
    """
    producer = clients.producer(
        kafka, transactional_id=f"{group}-{member_name}", transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
    )
    member = Member(kafka, group, member_name, topics, stop)
    try:
        with kafka_errors_are_fatal(kafka, group, member_name):
            producer.init_transactions()
            _Loop(group, member, producer, restore_step, max_records, stop, clock, generation).run()
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
        stop: threading.Event,
        clock: Callable[[], datetime],
        generation: str | None,
    ) -> None:
        self._group = group
        self._generation = generation
        self._member = member
        self._producer = producer
        self._restore_step = restore_step
        self._max_records = max_records
        self._stop = stop
        self._clock = clock
        self._restored = _STANDBY
        self._committed: Positions = {}
        self._metadata = ""
        self._has_idle_work = False
        self._saved: Positions = {}
        self._save_at = time.monotonic() + _SAVE_EVERY_S

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._member.reassigned:
                    self._restore()
                wait_ms = _BUSY_WAIT_MS if self._has_idle_work else _WAIT_MS
                batch = self._member.poll(self._max_records, timeout_ms=wait_ms)
                # Records of partitions that were revoked meanwhile are another member's now.
                if self._member.reassigned:
                    continue
                if batch.positions:
                    self._process(batch)
                else:
                    self._commit_markers()
                self._has_idle_work = not batch.positions and self._idle()
                if time.monotonic() > self._save_at:
                    self._save()
            except Retriable:
                # Only `stop` ends the waiting for a retriable error; nothing of the batch is committed.
                log.warning("stopped while waiting to try again")
        self._save()

    def _restore(self) -> None:
        """Restore the step at the committed offsets of the partitions that are assigned now.

        Where a publication is unfinished, at the end of its batch; what is left of it is published first.
        """
        committed = self._member.take_assignment()
        group_metadata = self._member.group_metadata
        unfinished = Unfinished.from_metadata(self._member.metadata)
        positions = {**committed, **unfinished.positions} if unfinished and committed else committed
        self._restored, self._committed, self._saved = _STANDBY, committed, positions
        self._metadata = unfinished.metadata if unfinished else self._member.metadata
        if not committed:
            log.info("standing by", consumer=self._group)
            return
        restored, publications = self._member.work(lambda: self._reconciled(positions, unfinished))
        if self._member.reassigned:
            return
        self._member.seek(positions)
        self._restored = restored
        if unfinished and not publications:
            publications = [Publication()]
        for publication in publications:
            log.info("publishing what is not published yet", consumer=self._group)
            self._publish(publication, positions, group_metadata, unfinished)
            unfinished = None
        # Whoever waits for all to be done waits for this line too: a lag of 0 says nothing of what a start publishes.
        if not self._member.reassigned:
            log.info(TAKING_PART, consumer=self._group, partitions=sorted(positions))

    def _reconciled(
        self, positions: Positions, unfinished: Unfinished | None
    ) -> tuple[RestoredStep, Sequence[Publication]]:
        restored = self._restore_step(positions)
        return restored, restored.reconcile(unfinished)

    def _process(self, batch: Batch) -> None:
        group_metadata = self._member.group_metadata
        outputs = self._member.work(lambda: self._restored.step(batch.received)) if batch.received else ()
        if self._member.reassigned:
            return
        if isinstance(outputs, Publication):
            publication = replace(outputs, rejected=[*batch.rejected, *outputs.rejected])
            self._publish(publication, batch.positions, group_metadata)
        else:
            positions = self._restored.hold(batch.positions)
            self._commit([(output, ()) for output in (*batch.rejected, *outputs)], positions, group_metadata)

    def _publish(
        self,
        publication: Publication,
        positions: Positions,
        group_metadata: Any,  # noqa: ANN401
        resumed: Unfinished | None = None,
    ) -> None:
        """Publish the outputs of a step whose state stands for `positions`; the rest of them where it is resumed.

        Once `stop` is set, the rest is left to the next start.
        """
        if self._member.reassigned:
            return
        unfinished = resumed or Unfinished(uuid4().hex, {**self._committed, **positions}, metadata=self._metadata)
        for chunk in chunks(publication, unfinished, CHUNK_OUTPUTS, resumed=resumed is not None):
            if chunk.unfinished is None:
                self._commit(chunk.outputs, positions, group_metadata)
                return
            self._commit(chunk.outputs, {}, group_metadata, uncommitted=chunk.unfinished)
            self._member.stay()
            if self._stop.is_set():
                self._member.invalidate()
            if self._member.reassigned:
                return

    def _idle(self) -> bool:
        """Let the step do work of its own; whether it had any."""
        group_metadata = self._member.group_metadata
        outputs, metadata = self._member.work(lambda: self._restored.idle(self._metadata))
        if (outputs or metadata != self._metadata) and not self._member.reassigned:
            # Records that were held may be done now.
            positions = self._restored.hold(self._member.positions()) if outputs else {}
            self._commit([(output, ()) for output in outputs], positions, group_metadata, metadata)
            return True
        return False

    def _save(self) -> None:
        """Save the state if it has changed. Its positions are committed, so a restart may begin there."""
        save, committed, started = self._restored.save, self._committed, time.monotonic()
        if save is not None and committed != self._saved and not self._member.reassigned:
            self._member.work(lambda: save(committed))
            self._saved = committed
        ended = time.monotonic()
        self._save_at = ended + seconds_until_next_snapshot(ended - started)

    def _commit(
        self,
        outputs: Sequence[tuple[Output, Headers]],
        positions: Positions,
        group_metadata: Any,  # noqa: ANN401
        metadata: str | None = None,
        uncommitted: Unfinished | None = None,
    ) -> None:
        """Steps 2 to 5 of the order above. Without new checkpoint metadata, that of the last commit is kept.

        `uncommitted`: the transaction is not the last one of a publication.
        """
        metadata = self._metadata if metadata is None else metadata
        # All offsets are sent, also where none has moved: they make the broker check the group metadata.
        committed = {**self._committed, **positions}
        try:
            self._producer.begin_transaction()
            transaction, now = uuid4().hex, self._clock()
            for number, (output, headers) in enumerate(outputs):
                topic, record = self._record(output, f"{transaction}-{number}", now)
                self._producer.send(topic, value=record.value, key=record.key, headers=[*record.headers, *headers])
            beside = uncommitted.as_metadata() if uncommitted else metadata
            self._producer.send_offsets_to_transaction(as_offsets(committed, beside), group_metadata)
            self._producer.commit_transaction()
        except MessageSizeTooLargeError as error:
            raise Fatal(f"{self._group} made a record that is larger than the topic takes ({error})") from error
        except KafkaError as error:
            if is_fenced(error):
                raise
            log.warning("commit failed, starting again from the last one", consumer=self._group, reason=str(error))
            self._producer.abort_transaction()
            self._member.invalidate()
        else:
            self._committed = committed
            self._metadata = metadata

    def _commit_markers(self) -> None:
        """Commit the offsets after markers of transactions, which are no records: a lag of 0 then means all is done.

        And those of records that were held and are done now.
        """
        positions = self._restored.hold(self._member.positions())
        moved = {
            partition: offset for partition, offset in positions.items() if offset > self._committed.get(partition, 0)
        }
        if moved and not self._member.reassigned:
            self._commit((), moved, self._member.group_metadata)

    def _record(self, output: Output, event_id: str, time: datetime) -> tuple[str, Record]:
        """The name of the topic that an output is published to, and its record."""
        if isinstance(output, Rejected):
            log.warning("dead letter", topic=output.consumed.topic, offset=output.consumed.offset, reason=output.reason)
            return DEAD_LETTERS.name, dead_letter_record(output, self._group, time)
        topic = output.topic if isinstance(output, Tombstone) else topic_of(output)
        topic = of_generation(topic, self._generation)
        return topic.name, encode(output, event_id=event_id, time=time, source=f"facestream/{self._group}")


def seconds_until_next_snapshot(seconds: float) -> float:
    """How long to wait after a snapshot that took so many seconds."""
    return max(_SAVE_EVERY_S, seconds * (1 / _SAVING_SHARE - 1))


def _refuse(_: Sequence[object]) -> Sequence[Output]:
    raise Fatal("a standby was given records")


_STANDBY = RestoredStep(_refuse)

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
from kafka.errors import KafkaError

from errors import FacestreamError, Fatal, Retriable
from schemas.topics import Checkpoint, Topic
from settings import KafkaSettings
from stream import clients
from stream.chunks import chunks
from stream.continuity import Break
from stream.dead_letters import FEW_BYTES
from stream.failures import is_fenced, is_too_large, kafka_errors_are_fatal
from stream.flood import FloodGuard
from stream.isolation import Isolation
from stream.measuring import Measures
from stream.member import Batch, Member
from stream.records import Headers, Output, Positions, Publication, Received, Rejected, RestoredStep, Unfinished
from stream.spare_time import SpareTime
from stream.transactions import Transactions

log = structlog.get_logger()

# Logged when what is published is what the restored state says, and records are read next.
TAKING_PART = "taking part"

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
    start_over: Callable[[Sequence[Break]], str] = lambda _: "what is left of it is read",
) -> None:
    """Run a step over topics until `stop` is set; the current transaction is then completed.

    Of a publication that takes several transactions the rest is left to the next start.
    `restore_step` is called whenever partitions are assigned or revoked: it returns a step whose state stands for all
    records before the positions it is called with. Each batch has at most `max_records` records. Outputs are published
    to the topics of the clustering `generation`; `dead-letters` is the same for all generations. `start_over` is called
    before `restore_step` where the topics do not continue where they were read up to (stream/continuity.py): what was
    kept of them is to be thrown away. It returns what happens now and what a person has to do, for the log. Raises
    Fatal.
    """
    measures = Measures(group)
    transactions = Transactions(kafka, group, member_name, generation, clock, measures.headers_of)
    member = Member(kafka, group, member_name, topics, stop)
    try:
        with kafka_errors_are_fatal(kafka, group, member_name):
            transactions.begin(stop)
            flood = FloodGuard(group, kafka.most_dead_letters)
            measures.writes_to(generation)
            loop = _Loop(group, member, transactions, restore_step, max_records, stop, start_over, flood, measures)
            loop.run()
    finally:
        member.close()
        transactions.close()
        measures.close()


class _Loop:
    def __init__(
        self,
        group: str,
        member: Member,
        transactions: Transactions,
        restore_step: Callable[[Positions], RestoredStep],
        max_records: int,
        stop: threading.Event,
        start_over: Callable[[Sequence[Break]], str],
        flood: FloodGuard,
        measures: Measures,
    ) -> None:
        self._group = group
        self._start_over = start_over
        self._flood = flood
        self._measures = measures
        self._isolation = Isolation(group, max_records)
        self._member = member
        self._transactions = transactions
        self._restore_step = restore_step
        self._stop = stop
        self._restored = _STANDBY
        self._committed: Positions = {}
        self._metadata = ""
        self._has_idle_work = False
        self._spare_time = SpareTime()
        # The records that the present outputs were made of.
        self._in_work: Sequence[Received] = ()
        self._saved: Positions = {}
        self._save_at = time.monotonic() + _SAVE_EVERY_S

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._member.reassigned:
                    self._restore()
                wait_ms = _BUSY_WAIT_MS if self._has_idle_work else _WAIT_MS
                batch = self._member.poll(self._isolation.most_records, timeout_ms=wait_ms)
                # Records of partitions that were revoked meanwhile are another member's now.
                if self._member.reassigned:
                    continue
                self._measures.look(self._member)
                if batch.positions:
                    self._process(batch)
                else:
                    self._commit_markers()
                self._has_idle_work = self._has_time(batch) and self._work_of_its_own()
                if time.monotonic() > self._save_at:
                    self._save()
            except Retriable:
                # Only `stop` ends the waiting for a retriable error; nothing of the batch is committed.
                log.warning("stopped while waiting to try again")
        self._save()

    def _restore(self) -> None:
        """Restore the step at the committed offsets of the partitions that are assigned now.

        Where a publication is unfinished, at the end of its batch; what is left of it is published first. Where the
        topics do not continue at the committed offsets, at the nearest ones; the state is then made of what they hold.
        """
        self._measures.restoring()
        checkpoints = self._member.take_assignment()
        group_metadata = self._member.group_metadata
        unfinished = Unfinished.from_metadata(self._member.metadata)
        read = {partition: one.offset for partition, one in checkpoints.items()}
        ends = {**read, **unfinished.positions} if unfinished else read
        had = {one: replace(checkpoints.get(one, Checkpoint(0)), offset=offset) for one, offset in ends.items()}
        self._restored = _STANDBY
        positions, breaks = self._member.continue_from(had)
        if self._member.reassigned:
            return
        committed = positions if breaks else {**positions, **read}
        unfinished = None if breaks else unfinished
        self._committed, self._saved = committed, positions
        metadata = "" if breaks else self._member.metadata
        self._metadata = unfinished.metadata if unfinished else metadata
        if breaks:
            now = self._member.work(lambda: self._start_over(breaks))
            log.warning(f"{'; '.join(one.line for one in breaks)}: {now}", consumer=self._group)
        if not committed:
            log.info("standing by", consumer=self._group)
            self._measures.restored(takes_part=False)
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
        if breaks and not self._member.reassigned:
            self._commit((), positions, group_metadata)
        # Whoever waits for all to be done waits for this line too: a lag of 0 says nothing of what a start publishes.
        if not self._member.reassigned:
            log.info(TAKING_PART, consumer=self._group, partitions=sorted(positions))
            self._measures.restored(takes_part=True)

    def _reconciled(
        self, positions: Positions, unfinished: Unfinished | None
    ) -> tuple[RestoredStep, Sequence[Publication]]:
        try:
            restored = self._restore_step(positions)
            return restored, restored.reconcile(unfinished)
        except (FacestreamError, KafkaError, OSError):
            raise
        except Exception as error:
            raise Fatal(f"{self._group} cannot restore its state ({type(error).__name__}: {error})") from error

    def _process(self, batch: Batch) -> None:
        group_metadata = self._member.group_metadata
        received, failing = self._isolation.without_failing(batch.received)
        self._measures.steps(received)
        try:
            outputs = self._member.work(lambda: self._restored.step(received)) if received else ()
        except (FacestreamError, KafkaError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not come again with every start
            # The step may have changed a part of its state, so that is restored.
            self._isolation.failed(received, error)
            self._member.invalidate()
            return
        if self._member.reassigned:
            return
        self._measures.stepped()
        rejected = [*batch.rejected, *failing]
        dead = [*rejected, *_rejected_in(outputs)]
        self._flood.check(len(batch.received) + len(batch.rejected), dead)
        self._in_work = received
        if isinstance(outputs, Publication):
            publication = replace(outputs, rejected=[*rejected, *outputs.rejected])
            self._publish(publication, batch.positions, group_metadata)
        else:
            positions = self._restored.hold(batch.positions)
            self._commit([(output, ()) for output in (*rejected, *outputs)], positions, group_metadata)
        self._in_work = ()
        # Where what it published was not taken, the records are read again, and there are to be fewer.
        if not self._member.reassigned:
            self._isolation.passed()
            self._flood.count(len(batch.received) + len(batch.rejected), dead)
            self._measures.read(batch, self._restored.held())

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

    def _has_time(self, batch: Batch) -> bool:
        """Whether the step may do work of its own now."""
        if self._member.reassigned:
            # The state may be half of a step, or ahead of the commits: it is restored first.
            return False
        now = time.monotonic()
        if batch.positions:
            self._spare_time.read(now)
        return self._spare_time.has_begun(now, only_at_the_end=self._restored.only_at_the_end)

    def _work_of_its_own(self) -> bool:
        """Let the step do what an erasure asks for, or `idle`; whether there was anything to do."""
        if self._erase():
            self._spare_time.hurry()
            return True
        began = time.monotonic()
        had_work = self._idle()
        self._spare_time.worked(began, time.monotonic())
        return had_work

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

    def _erase(self) -> bool:
        """Let the step do what an erasure asks for; whether it published anything."""
        if not self._committed or self._member.reassigned:
            return False
        group_metadata, committed = self._member.group_metadata, self._committed
        try:
            outputs = self._member.work(lambda: self._restored.erase(committed))
        except OSError as error:
            # A full disk, say. It is tried again.
            log.warning("not erased yet", consumer=self._group, reason=error.strerror or str(error))
            return False
        if outputs and not self._member.reassigned:
            self._commit([(output, ()) for output in outputs], {}, group_metadata)
        return bool(outputs)

    def _save(self) -> None:
        """Save the state if it has changed. Its positions are committed, so a restart may begin there.

        Where that is not possible the consumer goes on, and tries again when the next one is due.
        """
        save, committed, started = self._restored.save, self._committed, time.monotonic()
        if save is not None and committed != self._saved and not self._member.reassigned:
            try:
                self._member.work(lambda: save(committed))
                self._saved = committed
                self._measures.saved(time.monotonic() - started)
            except OSError as error:
                # A full disk, say. It only makes the next start slower, which reads more of the topic.
                log.warning("no snapshot is saved", consumer=self._group, reason=error.strerror or str(error))
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
        started = time.monotonic()
        beside = uncommitted.as_metadata() if uncommitted else metadata
        offsets = self._member.topics.as_offsets(committed, beside)
        try:
            topics = self._transactions.commit(outputs, offsets, group_metadata)
        except clients.NoAnswer:
            # To abort would be refused: by then the broker has ended the transaction, which looks like another member.
            raise
        except KafkaError as error:
            if is_too_large(error):
                self._make_smaller(outputs, error)
                self._transactions.begin_again(self._stop)
                self._member.invalidate()
                return
            if is_fenced(error):
                if self._transactions.is_overdue:
                    line = f"{self._group}: the broker has ended a transaction that took too long, and is asked again"
                    raise Fatal(line) from error
                raise
            log.warning("commit failed, starting again from the last one", consumer=self._group, reason=str(error))
            self._abort()
        else:
            self._member.confirmed.note(offsets)
            self._committed = committed
            self._metadata = metadata
            rejected = (output for output, _ in outputs if isinstance(output, Rejected))
            self._measures.committed(topics, rejected, time.monotonic() - started)

    def _abort(self) -> None:
        """Abort the transaction; the state is restored at the last commit."""
        self._transactions.abort()
        self._member.invalidate()

    def _make_smaller(self, outputs: Sequence[tuple[Output, Headers]], error: KafkaError) -> None:
        """Let the same records be published again so that the topics take them. Raises Fatal where that cannot be."""
        has_letters = any(isinstance(output, Rejected) for output, _ in outputs)
        if has_letters and self._transactions.most_letter_bytes > FEW_BYTES:
            self._transactions.most_letter_bytes = FEW_BYTES
        elif self._in_work:
            self._isolation.failed(self._in_work, error)
        else:
            raise Fatal(f"{self._group} made a record that is larger than the topic takes ({error})") from error

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


def seconds_until_next_snapshot(seconds: float) -> float:
    """How long to wait after a snapshot that took so many seconds."""
    return max(_SAVE_EVERY_S, seconds * (1 / _SAVING_SHARE - 1))


def _rejected_in(outputs: Sequence[Output] | Publication) -> Sequence[Rejected]:
    if isinstance(outputs, Publication):
        return outputs.rejected
    return [output for output in outputs if isinstance(output, Rejected)]


def _refuse(_: Sequence[object]) -> Sequence[Output]:
    raise Fatal("a standby was given records")


_STANDBY = RestoredStep(_refuse)

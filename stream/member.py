"""A member of a consumer group: it polls and decodes records, and stays in the group while a step takes long.

Both loops (`transform` and `sink`) are built on it. Only the calling thread uses the Kafka consumer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from errors import Fatal, Retriable
from schemas.codec import NewerRecord
from schemas.topics import Checkpoint, Topic
from settings import KafkaSettings
from stream import clients
from stream.confirmed import ConfirmedOffsets
from stream.continuity import Break, Checkpoints, Kind, breaks, continued, parted
from stream.followed_topics import FollowedTopics
from stream.reading import decode_record
from stream.records import Positions, Received, Rejected
from telemetry.health import health

log = structlog.get_logger()

Result = TypeVar("Result")

# While a step takes longer than this, the member pauses its partitions and polls, which keeps it in the group.
_POLL_EVERY_S = 1.0

# How long a poll waits for records.
_WAIT_MS = 200

# Three session timeouts without a heartbeat.
_LONGEST_SILENCE_S = 30.0
_ANSWERS_WITHIN_S = 5.0
# So long a member may take to send heartbeats to a broker that was away.
_REJOINS_WITHIN_S = 10.0
# A session timeout without an answer to a heartbeat: a member is not ready while its broker is away.
_AWAY_AFTER_S = 10.0

# So soon a member learns that a topic was recreated or was given more partitions.
_METADATA_AGE_MS = 30_000

# A broker that has just started may not know yet how far its topics go.
_CHECK_AGAIN_S = 2.0

# The offset to read next is not in the topic, or the records before it are others than those that were read.
_BROKEN = (OffsetOutOfRangeError, LogTruncationError)


@dataclass(frozen=True)
class Batch:
    """What one poll returned, and the offsets to read next once it is processed."""

    received: Sequence[Received]
    rejected: Sequence[Rejected]
    positions: Positions


class Member:
    """One static member of the group `group` (KIP-345): with the same `name`, a restart keeps its partitions.

    `metadata` is the checkpoint metadata beside the committed offsets, as of `take_assignment`; see
    `stream.records.Idle`. `topics` is what it has of its topics beside offsets,
    `confirmed` what the broker has confirmed of commits in transactions.
    """

    def __init__(
        self, kafka: KafkaSettings, group: str, name: str, topics: Sequence[Topic], stop: threading.Event
    ) -> None:
        self._kafka = kafka
        self._stop = stop
        self._name = f"{group}-{name}"
        self._answering_since: float | None = None
        self._listener = _Listener()
        self._committed: dict[tuple[str, int], int] = {}
        self.confirmed = ConfirmedOffsets(self._name)
        names = [topic.name for topic in topics]
        self.metadata = ""
        self._consumer = clients.consumer(
            kafka,
            group_id=group,
            group_instance_id=self._name,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            metadata_max_age_ms=_METADATA_AGE_MS,
            # An offset that the topic does not have is an error: reading elsewhere would skip or repeat records.
            auto_offset_reset="none",
        )
        self._consumer.subscribe(names, listener=self._listener)
        self.topics = FollowedTopics(kafka, self._consumer, names)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="step")
        health.watch(self._name, self._is_broker_away)

    @property
    def reassigned(self) -> bool:
        """Whether partitions were assigned or revoked since `take_assignment`: its result is out of date."""
        return self._listener.changed.is_set()

    @property
    def group_metadata(self) -> Any:  # noqa: ANN401
        """The present group metadata. After the next rebalance the broker refuses a commit with it (KIP-447)."""
        return self._consumer.group_metadata()

    @property
    def assigned(self) -> list[tuple[str, int]]:
        """The assigned partitions; none while a rebalance is under way."""
        return [(partition.topic, partition.partition) for partition in self._assigned()]

    def _assigned(self) -> list[TopicPartition]:
        # Until a rebalance is complete the client keeps the partitions of before. They may be another member's by
        # then, and the broker takes commits of all of them, as the client has the group's new generation already.
        return [] if self._listener.rebalancing.is_set() else sorted(self._consumer.assignment())

    def invalidate(self) -> None:
        """Set `reassigned`: a commit failed, so the state may be ahead of the committed offsets."""
        self._listener.changed.set()

    def take_assignment(self) -> Checkpoints:
        """What is committed of the assigned partitions; none for a standby. Clears `reassigned`.

        A partition of which nothing is committed yet is left out; `continue_from` gives its beginning. Where a
        rebalance is under way, it is waited for, until `stop` is set.
        """
        while self._listener.rebalancing.is_set() and not self._stop.is_set():
            self._poll(_WAIT_MS)
            self._check_membership()
        self._listener.changed.clear()
        self._committed.clear()
        assigned = self._assigned()
        recreated = self.topics.note(assigned)
        found = {partition: self._consumer.committed(partition, metadata=True) for partition in assigned}
        commits = self.confirmed.not_earlier(found, self.topics.ids)
        texts = {partition: parted(commit.metadata) for partition, commit in commits.items()}
        self.metadata = next((metadata for _, metadata in texts.values() if metadata), "")
        return recreated | {
            (partition.topic, partition.partition): Checkpoint(
                commit.offset, texts[partition][0], -1 if commit.leader_epoch is None else commit.leader_epoch
            )
            for partition, commit in commits.items()
        }

    def continue_from(self, had: Checkpoints) -> tuple[Positions, list[Break]]:
        """The offsets to read next in the assigned partitions, of those `had`; and where the topics do not continue.

        See `stream.continuity`. Raises Fatal where a topic was given more partitions than its records were sent to.
        """
        assigned = self.assigned
        if not assigned:
            return {}, []
        self.topics.check_growth()
        present = self.topics.present(had)
        found = breaks(had, present)
        if any(one.kind is Kind.SHORTENED for one in found):
            self.stay()
            self._stop.wait(_CHECK_AGAIN_S)
            self.topics.ask_for_ids()
            present = self.topics.present(had)
            found = breaks(had, present)
        self.topics.begin(had, [(one.topic, number) for one in found for number in one.partitions])
        return continued(assigned, had, present), found

    def seek(self, positions: Positions) -> None:
        """Set the offsets to read next."""
        for (topic, number), offset in positions.items():
            self._consumer.seek(TopicPartition(topic, number), offset)

    def poll(self, max_records: int, timeout_ms: int = _WAIT_MS) -> Batch:
        """The next records, decoded, at most `max_records`.

        Raises NewerRecord, a Fatal, where the next one is of a later version than this program knows.
        """
        polled = self._poll(timeout_ms, max_records)
        self._check_membership()
        if self.topics.have_changed() and self.assigned:
            self.invalidate()
        received: list[Received] = []
        rejected: list[Rejected] = []
        positions: dict[tuple[str, int], int] = {}
        newer: NewerRecord | None = None
        for partition, records in polled.items():
            for consumed in records:
                try:
                    record = decode_record(consumed)
                except NewerRecord as error:
                    # What comes before it is processed and committed first.
                    newer = error
                    self._consumer.seek(partition, consumed.offset)
                    break
                if isinstance(record, Received):
                    received.append(record)
                else:
                    rejected.append(record)
                positions[partition.topic, partition.partition] = consumed.offset + 1
                self.topics.read(consumed)
        if newer is not None and not positions:
            raise newer
        return Batch(received, rejected, positions)

    def _poll(self, timeout_ms: int, max_records: int | None = None) -> Any:  # noqa: ANN401
        """Poll. Where the topic does not have the offset to read next, `reassigned` is set instead."""
        health.turned()
        try:
            polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        except NoOffsetForPartitionError:
            # Before `seek`.
            polled = {}
        except _BROKEN:
            self.invalidate()
            polled = {}
        self._resume_rejoining()
        return polled

    def _resume_rejoining(self) -> None:
        """Let the next poll complete a rebalance that the last one has begun.

        kafka-python (3.0.12) loses it where a change of the topics' partitions was its cause: the member then is in no
        group, is assigned nothing and sends no heartbeat.
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _is_broker_away(self) -> bool:
        heartbeat = self._consumer._coordinator.heartbeat
        return bool(time.monotonic() - max(heartbeat.last_receive, heartbeat.last_reset) > _AWAY_AFTER_S)

    def _check_membership(self) -> None:
        """Raise Fatal when no heartbeat was sent for long.

        None is sent while the broker is away. kafka-python's heartbeat can stop without an error too: after another
        member has joined under this name, and, seen once, on a machine under heavy load. The member then is in no
        group, polls for ever and is assigned nothing.
        """
        heartbeat = self._consumer._coordinator.heartbeat
        now = time.monotonic()
        if now - max(heartbeat.last_send, heartbeat.last_reset) <= _LONGEST_SILENCE_S:
            self._answering_since = None
        elif self._answering_since is None:
            if not clients.is_answering(self._kafka, _ANSWERS_WITHIN_S):
                raise Fatal(
                    f"the Kafka broker at {self._kafka.bootstrap_servers} has not answered {self._name} for "
                    f"{_LONGEST_SILENCE_S:.0f} s: start it again when the broker answers"
                )
            # It may have come back just now.
            self._answering_since = time.monotonic()
        elif now - self._answering_since > _REJOINS_WITHIN_S:
            raise Fatal(f"{self._name} is no longer a member of its group, or another has its --member: start it again")

    def positions(self) -> Positions:
        """The offsets to read next in the assigned partitions. Markers of transactions move them too.

        None where a topic does not continue: `reassigned` is set then.
        """
        try:
            return {
                (partition.topic, partition.partition): self._consumer.position(partition)
                for partition in self._consumer.assignment()
            }
        except (NoOffsetForPartitionError, *_BROKEN):
            self.invalidate()
            return {}

    def lags(self) -> Mapping[str, int]:
        """Of each topic, how many records of the assigned partitions come next, as far as the broker has reported."""
        lags: dict[str, int] = {}
        for (topic, number), offset in self.positions().items():
            end = self._consumer.highwater(TopicPartition(topic, number))
            lags[topic] = lags.get(topic, 0) + max(0, (end or 0) - offset)
        return lags

    def commit(self, positions: Positions) -> None:
        """Commit the offsets that moved since the last commit, outside of any transaction."""
        moved = {
            partition: offset for partition, offset in positions.items() if self._committed.get(partition) != offset
        }
        if moved:
            self._consumer.commit(self.topics.as_offsets(moved))
            self._committed.update(moved)

    def work(self, call: Callable[[], Result]) -> Result:
        """Run `call` in a worker thread while this member stays in its group. On Retriable, waits and runs it again.

        Raises what `call` raises. Once `stop` is set, Retriable is raised too.
        """
        future = self._worker.submit(self._retrying, call)
        while not _done(future, _POLL_EVERY_S):
            self.stay()
        return future.result()

    def stay(self) -> None:
        """Poll once without reading any record: a member that does not poll for minutes loses its partitions."""
        # Newly assigned partitions are not paused. Records that this poll returns of them are not lost: after a change
        # of assignment, reading starts again at the committed offsets.
        self._consumer.pause(*self._consumer.assignment())
        self._poll(timeout_ms=0)
        self._consumer.resume(*self._consumer.assignment())

    def _retrying(self, call: Callable[[], Result]) -> Result:
        service = f"what {self._name} tries again"

        def wait(state: RetryCallState) -> None:
            health.waits(service, True)
            log.warning(
                "waiting to try again",
                attempt=state.attempt_number,
                reason=str(state.outcome and state.outcome.exception()),
            )

        retrying = Retrying(
            retry=retry_if_exception_type(Retriable),
            wait=wait_exponential(multiplier=0.5, max=30),
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=wait,
            reraise=True,
        )
        try:
            return retrying(call)
        finally:
            health.waits(service, False)

    def close(self) -> None:
        """Close the connection. A static member's partitions stay reserved for its restart until its session lapses."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._consumer.close(autocommit=False)
        health.watch(self._name, None)


def _done(future: Future[Any], timeout_s: float) -> bool:
    try:
        future.exception(timeout=timeout_s)
    except TimeoutError:
        return False
    return True


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.changed = threading.Event()
        self.rebalancing = threading.Event()

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002
        self.rebalancing.set()
        self.changed.set()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002
        self.rebalancing.clear()
        self.changed.set()

"""A member of a consumer group: it polls and decodes records, and stays in the group while a step takes long.

Both loops (`transform` and `sink`) are built on it. Only the calling thread uses the Kafka consumer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import OffsetAndMetadata
from tenacity import Retrying, retry_if_exception_type, sleep_using_event, stop_when_event_set, wait_exponential

from errors import Fatal, Retriable
from schemas.topics import Topic
from settings import KafkaSettings
from stream import clients
from stream.reading import decode_record
from stream.records import Positions, Received, Rejected

log = structlog.get_logger()

Result = TypeVar("Result")

# While a step takes longer than this, the member pauses its partitions and polls, which keeps it in the group.
_POLL_EVERY_S = 1.0

# Three session timeouts without a heartbeat.
_LONGEST_SILENCE_S = 30.0


@dataclass(frozen=True)
class Batch:
    """What one poll returned, and the offsets to read next once it is processed."""

    received: Sequence[Received]
    rejected: Sequence[Rejected]
    positions: Positions


class Member:
    """One static member of the group `group` (KIP-345): with the same `name`, a restart keeps its partitions.

    `metadata` is the checkpoint metadata beside the committed offsets, as of `take_assignment`; see
    `stream.records.Idle`.
    """

    def __init__(
        self, kafka: KafkaSettings, group: str, name: str, topics: Sequence[Topic], stop: threading.Event
    ) -> None:
        self._stop = stop
        self._name = f"{group}-{name}"
        self._listener = _Listener()
        self._committed: dict[tuple[str, int], int] = {}
        self.metadata = ""
        self._consumer = clients.consumer(
            kafka,
            group_id=group,
            group_instance_id=self._name,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
        )
        self._consumer.subscribe([topic.name for topic in topics], listener=self._listener)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="step")

    @property
    def reassigned(self) -> bool:
        """Whether partitions were assigned or revoked since `take_assignment`: its result is out of date."""
        return self._listener.changed.is_set()

    @property
    def group_metadata(self) -> Any:  # noqa: ANN401
        """The present group metadata. After the next rebalance the broker refuses a commit with it (KIP-447)."""
        return self._consumer.group_metadata()

    def invalidate(self) -> None:
        """Set `reassigned`: a commit failed, so the state may be ahead of the committed offsets."""
        self._listener.changed.set()

    def take_assignment(self) -> Positions:
        """The assigned partitions with their committed offsets; none for a standby. Clears `reassigned`.

        Where nothing is committed yet, the offset is that of the first record there is.
        """
        self._listener.changed.clear()
        self._committed.clear()
        assigned = sorted(self._consumer.assignment())
        beginnings = self._consumer.beginning_offsets(assigned) if assigned else {}
        commits = {partition: self._consumer.committed(partition, metadata=True) for partition in assigned}
        self.metadata = next((commit.metadata for commit in commits.values() if commit and commit.metadata), "")
        return {
            (partition.topic, partition.partition): beginnings[partition] if commit is None else commit.offset
            for partition, commit in commits.items()
        }

    def seek(self, positions: Positions) -> None:
        """Set the offsets to read next."""
        for (topic, number), offset in positions.items():
            self._consumer.seek(TopicPartition(topic, number), offset)

    def poll(self, max_records: int, timeout_ms: int = 200) -> Batch:
        """The next records, decoded, at most `max_records`."""
        polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        self._resume_rejoining()
        self._check_membership()
        decoded = [decode_record(consumed) for records in polled.values() for consumed in records]
        return Batch(
            received=[record for record in decoded if isinstance(record, Received)],
            rejected=[record for record in decoded if isinstance(record, Rejected)],
            positions={
                (partition.topic, partition.partition): records[-1].offset + 1 for partition, records in polled.items()
            },
        )

    def _resume_rejoining(self) -> None:
        """Let the next poll complete a rebalance that the last one has begun.

        kafka-python (3.0.12) loses it where a change of the topics' partitions was its cause: the member then is in no
        group, is assigned nothing and sends no heartbeat.
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _check_membership(self) -> None:
        """Raise Fatal when no heartbeat was sent for long.

        kafka-python's heartbeat can stop without an error: after another member has joined under this name, and, seen
        once, on a machine under heavy load. The member then is in no group, polls for ever and is assigned nothing.
        """
        heartbeat = self._consumer._coordinator.heartbeat
        if time.monotonic() - max(heartbeat.last_send, heartbeat.last_reset) > _LONGEST_SILENCE_S:
            raise Fatal(f"{self._name} is no longer a member of its group, or another has its --member: start it again")

    def positions(self) -> Positions:
        """The offsets to read next in the assigned partitions. Markers of transactions move them too."""
        return {
            (partition.topic, partition.partition): self._consumer.position(partition)
            for partition in self._consumer.assignment()
        }

    def commit(self, positions: Positions) -> None:
        """Commit the offsets that moved since the last commit, outside of any transaction."""
        moved = {
            partition: offset for partition, offset in positions.items() if self._committed.get(partition) != offset
        }
        if moved:
            self._consumer.commit(as_offsets(moved))
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
        self._consumer.poll(timeout_ms=0)
        self._resume_rejoining()
        self._consumer.resume(*self._consumer.assignment())

    def _retrying(self, call: Callable[[], Result]) -> Result:
        retrying = Retrying(
            retry=retry_if_exception_type(Retriable),
            wait=wait_exponential(multiplier=0.5, max=30),
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=lambda state: log.warning(
                "waiting to try again",
                attempt=state.attempt_number,
                reason=str(state.outcome and state.outcome.exception()),
            ),
            reraise=True,
        )
        return retrying(call)

    def close(self) -> None:
        """Close the connection. A static member's partitions stay reserved for its restart until its session lapses."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._consumer.close(autocommit=False)


def as_offsets(positions: Positions, metadata: str = "") -> dict[TopicPartition, OffsetAndMetadata]:
    """Positions as kafka-python commits them, each with the checkpoint metadata beside it."""
    return {
        TopicPartition(topic, number): OffsetAndMetadata(offset, metadata, -1)
        for (topic, number), offset in positions.items()
    }


def _done(future: Future[Any], timeout_s: float) -> bool:
    try:
        future.exception(timeout=timeout_s)
    except TimeoutError:
        return False
    return True


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.changed = threading.Event()

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002
        self.changed.set()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002
        self.changed.set()

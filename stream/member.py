"""A member of a consumer group: polling, decoding and long steps, without ever being thrown out of the group.

Both loops (`transform` and `sink`) are built on it. The consumer is used by one thread only, the one that calls.
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
from stream.reading import understand
from stream.records import Positions, Received, Rejected

log = structlog.get_logger()

Result = TypeVar("Result")

# A step that takes longer than this makes the member pause its partitions and go on polling.
_PATIENCE_S = 1.0

# Three sessions without a heartbeat.
_SILENCE_S = 30.0


@dataclass(frozen=True)
class Batch:
    """What one poll gave, and the offsets to read next when it is done with."""

    received: Sequence[Received]
    rejected: Sequence[Rejected]
    positions: Positions


class Member:
    """One member of the group `group`. `name` is stable over restarts, so that a restarted member is known again.

    `note` is what stood beside the committed offsets when it settled, see `stream.records.Idle`.
    """

    def __init__(
        self, kafka: KafkaSettings, group: str, name: str, topics: Sequence[Topic], stop: threading.Event
    ) -> None:
        self._stop = stop
        self._name = f"{group}-{name}"
        self._listener = _Listener()
        self._told: dict[tuple[str, int], int] = {}
        self.note = ""
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
        """Whether partitions came or went since `settle`: what is known of them no longer holds."""
        return self._listener.changed.is_set()

    @property
    def generation(self) -> Any:  # noqa: ANN401
        """The membership as of now. A commit with it is refused by the broker after the next rebalance (KIP-447)."""
        return self._consumer.group_metadata()

    def distrust(self) -> None:
        """Act as if partitions had come or gone: a commit failed, so the state may be ahead of what is committed."""
        self._listener.changed.set()

    def settle(self) -> Positions:
        """The assigned partitions with their committed offsets, after a change of assignment; none for a standby."""
        self._listener.changed.clear()
        self._told.clear()
        partitions = self._consumer.assignment()
        beginnings = self._consumer.beginning_offsets(list(partitions)) if partitions else {}
        committed = {it: self._consumer.committed(it, metadata=True) for it in sorted(partitions)}
        self.note = next((it.metadata for it in committed.values() if it is not None and it.metadata), "")
        return {(at.topic, at.partition): beginnings[at] if it is None else it.offset for at, it in committed.items()}

    def seek(self, positions: Positions) -> None:
        """Read on from these offsets, whatever was read before."""
        for (topic, number), offset in positions.items():
            self._consumer.seek(TopicPartition(topic, number), offset)

    def poll(self, max_records: int, timeout_ms: int = 200) -> Batch:
        """The next records, decoded, at most `max_records`."""
        polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        self._go_on_joining()
        self._check_membership()
        understood = [understand(consumed) for records in polled.values() for consumed in records]
        return Batch(
            received=[it for it in understood if isinstance(it, Received)],
            rejected=[it for it in understood if isinstance(it, Rejected)],
            positions={(it.topic, it.partition): records[-1].offset + 1 for it, records in polled.items()},
        )

    def _go_on_joining(self) -> None:
        """Let the next poll end a rebalance that this one has begun.

        kafka-python (3.0.12) forgets it where news of partitions was the reason for it: the member then is in no
        group, is given nothing and sends no heartbeat.
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _check_membership(self) -> None:
        """Raise Fatal when no heartbeat was sent for long.

        kafka-python's heartbeat can end without a word: after another member has taken the name, and, seen once, on a
        machine under heavy load. The group then knows nothing of a member that polls for ever and is given nothing.
        """
        heartbeat = self._consumer._coordinator.heartbeat
        if time.monotonic() - max(heartbeat.last_send, heartbeat.last_reset) > _SILENCE_S:
            raise Fatal(f"{self._name} is no longer a member of its group, or another has its --member: start it again")

    def positions(self) -> Positions:
        """Where the assigned partitions are read next. Markers of transactions move them too."""
        return {(it.topic, it.partition): self._consumer.position(it) for it in self._consumer.assignment()}

    def tell(self, positions: Positions) -> None:
        """Commit offsets that moved since they were last told, outside of any transaction."""
        moved = {at: offset for at, offset in positions.items() if self._told.get(at) != offset}
        if moved:
            self._consumer.commit(as_offsets(moved))
            self._told.update(moved)

    def work(self, call: Callable[[], Result]) -> Result:
        """Run `call` to its end while this member stays in its group. Waits and runs it again when it is Retriable.

        Raises what it raises. When the member is told to stop, a Retriable is raised instead of waited out.
        """
        future = self._worker.submit(self._retrying, call)
        paused = False
        while not _done(future, _PATIENCE_S):
            # Newly assigned partitions are not paused yet, so this is said each time. What such a poll returns
            # is not lost: the assignment has changed, and that starts again from the committed offsets.
            self._consumer.pause(*self._consumer.assignment())
            paused = True
            self._consumer.poll(timeout_ms=0)
            self._go_on_joining()
        if paused:
            self._consumer.resume(*self._consumer.assignment())
        return future.result()

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
        """Leave. A static member's partitions stay reserved for its restart until its session lapses."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._consumer.close(autocommit=False)


def as_offsets(positions: Positions, note: str = "") -> dict[TopicPartition, OffsetAndMetadata]:
    """Positions as kafka-python commits them, each with the note beside it."""
    return {
        TopicPartition(topic, number): OffsetAndMetadata(offset, note, -1)
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

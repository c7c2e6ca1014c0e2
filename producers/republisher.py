"""Publishing scans again that were read a while ago, unless somebody has withdrawn or changed them since.

What is published last counts. So a scan that is withdrawn after it was read, and published again after that, would be
there again. A portion of scans is published so:

1. Begin a transaction, and send the scans in it.
2. Wait until the broker has them: what others have published before each is settled now.
3. Read what others have published since the scans were read, up to there.
4. Where one of the scans is among that, abort, and begin again without it. Otherwise commit.

Whoever withdraws a scan after 2 does it after it was published again, which is what counts.

Where something was erased since the scans were read, nothing is committed any more: the faces to keep may have it. An
erasure that begins after 4 finds it, because it reads `scans` after its own record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from types import TracebackType
from uuid import uuid4

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from errors import Fatal, UserError
from schemas.codec import encode
from schemas.scans import ScanPublished
from schemas.topics import ERASURES, SCANS, Tombstone
from settings import KafkaSettings
from stream import clients
from stream.following import Follower
from stream.growth import Growth
from stream.reading import decode_record
from stream.records import Positions, Received
from stream.silence import Silence
from telemetry.tracing import Tracer

_AT_ONCE = 200
# How long an open transaction of a killed process may hold up readers.
_TRANSACTION_TIMEOUT_MS = 30_000
_CONFIRM_S = 60.0
_CLOSE_S = 5.0


class Republisher(AbstractContextManager["Republisher"]):
    """Publishes scans again.

    Raises errors.Fatal, naming the broker, when it does not answer or does not confirm, and UserError where something
    is erased meanwhile.
    """

    def __init__(self, kafka: KafkaSettings, now: Callable[[], datetime], read_to: Positions) -> None:
        """`read_to`: the ends of `scans` and `erasures` before the scans were read."""
        self._kafka = kafka
        read_to = dict(read_to)
        self._erasures = Follower(kafka, ERASURES, read_to.pop((ERASURES.name, 0)))
        self._now = now
        self._reader = clients.consumer(kafka, isolation_level="read_uncommitted")
        self._reader.assign([TopicPartition(*partition) for partition in read_to])
        for partition, offset in read_to.items():
            self._reader.seek(TopicPartition(*partition), offset)
        self._own: set[tuple[int, int]] = set()
        self._others: dict[str, ScanPublished | None] = {}
        # An id of its own: several may publish again at once.
        transactional_id = f"facestream-again-{uuid4().hex}"
        self._producer: KafkaProducer = clients.producer(
            kafka, transactional_id=transactional_id, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
        )
        self._growth = Growth(self._producer)
        self._tracer = Tracer("feed")
        self._is_begun = False

    def publish(self, scans: Iterable[ScanPublished]) -> Iterator[ScanPublished]:
        """Publish these scans; those that were published, as soon as the broker has confirmed them."""
        unpublished = iter(scans)
        while portion := list(islice(unpublished, _AT_ONCE)):
            try:
                yield from self._publish(portion)
            except KafkaError as error:
                raise Fatal(
                    f"the Kafka broker at {self._kafka.bootstrap_servers} did not confirm all scans ({error}); do the "
                    "same again when it answers: a scan that is analysed twice keeps its faces"
                ) from error

    def _publish(self, portion: Sequence[ScanPublished]) -> list[ScanPublished]:
        if not self._is_begun:
            clients.begin_transactions(self._producer)
            self._is_begun = True
        scans = list(portion)
        while scans := [scan for scan in scans if not self._is_overtaken(scan)]:
            self._producer.begin_transaction()
            self._follow(self._sent(scans))
            # Records, not offsets: what closes a segment is appended to this topic too.
            erased = self._erasures.news()
            if erased.received or erased.is_another:
                self._abort()
                raise UserError(
                    "something is being erased, which the scans would name again: when facestream erase has ended, do "
                    "the same again"
                )
            if not any(self._is_overtaken(scan) for scan in scans):
                clients.bounded(self._producer.commit_transaction, _CONFIRM_S)
                return scans
            self._abort()
        return []

    def _abort(self) -> None:
        clients.bounded(self._producer.abort_transaction, _CONFIRM_S)

    def _sent(self, scans: Sequence[ScanPublished]) -> dict[int, int]:
        """Steps 1 and 2: the last offset of these records in each partition."""
        self._growth.check(SCANS.name)
        pending = []
        for scan in scans:
            record = encode(scan, event_id=str(uuid4()), time=self._now())
            headers = [*record.headers, *self._tracer.begin("publish", scan.scan_id)]
            pending.append(self._producer.send(SCANS.name, key=record.key, value=record.value, headers=headers))
        self._producer.flush(timeout=_CONFIRM_S)
        places = [(sent.partition, sent.offset) for sent in (future.get(timeout=_CONFIRM_S) for future in pending)]
        self._own |= set(places)
        return dict(sorted(places))

    def _follow(self, last: dict[int, int]) -> None:
        """Step 3: read what others have published, up to these offsets."""
        silence = Silence()
        while any(self._reader.position(TopicPartition(SCANS.name, one)) <= offset for one, offset in last.items()):
            polled = self._reader.poll(timeout_ms=200)
            silence.look(bool(polled))
            for consumed in (one for records in polled.values() for one in records):
                received = decode_record(consumed)
                if (consumed.partition, consumed.offset) in self._own or not isinstance(received, Received):
                    continue
                if isinstance(received.message, ScanPublished):
                    self._others[received.message.key] = received.message
                elif isinstance(received.message, Tombstone):
                    self._others[received.message.key] = None

    def _is_overtaken(self, scan: ScanPublished) -> bool:
        """Whether somebody has withdrawn it or published another state of it. The faces to keep are no other state."""
        if scan.scan_id not in self._others:
            return False
        other = self._others[scan.scan_id]
        return other is None or other.model_copy(update={"keep": ()}) != scan.model_copy(update={"keep": ()})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        clients.close_producer(self._producer, within_s=_CLOSE_S)
        self._reader.close()
        self._erasures.close()
        self._tracer.close()

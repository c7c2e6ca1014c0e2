"""`stream.transform` on a real broker, with steps that the tests make up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from schemas.dead_letters import DeadLetter
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import DEAD_LETTERS, FACES, SCANS
from settings import KafkaSettings
from stream.reading import read_to_end
from stream.records import Positions, RestoredStep
from stream.transform import transform
from tests.builders.clock import now
from tests.builders.kafka import wait_until_done

RestoreStep = Callable[[Positions], RestoredStep]


def scan(scan_id: str, collection: str = "c") -> ScanPublished:
    """A scan of this id."""
    return ScanPublished(
        scan_id=scan_id,
        uri=f"file:///{scan_id}",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection=collection,
        published_at=now(),
    )


@contextmanager
def running_transform(
    kafka: KafkaSettings, group: str, restore_step: RestoreStep, member: str = "0", max_records: int = 10
) -> Iterator[Future[None]]:
    """A transform of `scans` in a thread, stopped at the end."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            transform, kafka, group, member, [SCANS], restore_step, max_records=max_records, stop=stop, clock=now
        )
        try:
            yield run
        finally:
            stop.set()


def wait_until_scans_are_read(kafka: KafkaSettings, group: str, within_s: float = 30) -> None:
    """Wait until this group has read all of `scans`."""
    wait_until_done(kafka, {group: [SCANS]}, within_s)


def times_analysed(kafka: KafkaSettings, prefix: str) -> Counter[str]:
    """How often each scan whose id begins with `prefix` stands in `faces`."""
    return Counter(
        it.message.scan_id
        for it in read_to_end(kafka, FACES)
        if isinstance(it.message, ScanAnalysed) and it.message.scan_id.startswith(prefix)
    )


def dead_letters(kafka: KafkaSettings, consumer: str) -> list[DeadLetter]:
    """The dead letters of this consumer."""
    return [
        it.message
        for it in read_to_end(kafka, DEAD_LETTERS)
        if isinstance(it.message, DeadLetter) and it.message.consumer == consumer
    ]

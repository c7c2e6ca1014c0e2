"""Where a stateful consumer takes up: at its newest snapshot that can be used, and the log since."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

import structlog

from errors import Fatal
from schemas.topics import Topic
from settings import KafkaSettings, Settings
from stream.reading import read_until
from stream.records import Positions, Received
from stream.topics import tombstones_from, topic_id

log = structlog.get_logger()

_BATCH = 1000
_MARK = "topic"


def snapshots_of(settings: Settings, group: str, topic: Topic) -> Path:
    """The folder of a group's snapshots, without those of another broker's topic: their offsets mean nothing here."""
    folder = settings.data / "snapshots" / group
    mark, known = folder / _MARK, topic_id(settings.kafka, topic)
    try:
        if mark.exists() and mark.read_text() != known:
            log.warning("snapshots taken away", folder=str(folder), reason=f"they are of another topic {topic.name}")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(known)
    except OSError as error:
        raise Fatal(f"the folder of snapshots {folder} cannot be used: {error.strerror}") from error
    return folder


class Restored(Protocol):
    """What a room could restore: the next offset to read, and the snapshots it has refused."""

    @property
    def offset(self) -> int:
        """The next offset to read; 0 with an empty state."""

    @property
    def refused(self) -> Sequence[Exception]:
        """Why snapshots were passed over."""


def is_usable(restored: Restored, kafka: KafkaSettings, positions: Positions, now: datetime) -> bool:
    """Whether to go on from what was restored, at `now`; says what was refused.

    Where the offsets were set back, to say again what was said, a later snapshot knows too much. And one that is older
    than the tombstones which the topic keeps may know what was withdrawn since: without it, the topic tells all.
    """
    for reason in restored.refused:
        log.warning("snapshot passed over", reason=str(reason))
    (((topic, _), end),) = positions.items()
    if restored.offset > end:
        return False
    if 0 < restored.offset < tombstones_from(kafka, topic, now):
        log.warning("snapshot passed over", reason=f"tombstones of {topic} since offset {restored.offset} may be gone")
        return False
    return True


def since(kafka: KafkaSettings, offset: int, positions: Positions) -> Iterator[list[Received]]:
    """The log from `offset` up to the positions, in batches."""
    return batches(read_until(kafka, positions, dict.fromkeys(positions, offset)))


def batches(received: Iterable[Received]) -> Iterator[list[Received]]:
    """A log in pieces of a thousand records; while one is worked on, the next is read."""
    iterator = iter(received)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        ahead = reader.submit(list, islice(iterator, _BATCH))
        while batch := ahead.result():
            ahead = reader.submit(list, islice(iterator, _BATCH))
            yield batch

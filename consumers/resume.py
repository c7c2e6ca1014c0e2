"""How a stateful consumer restores its state: from its newest usable snapshot, and the records since."""

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
# The file that holds the id of the topic whose offsets the snapshots stand for.
_TOPIC_ID = "topic"


def note(path: Path) -> str | None:
    """What a small file beside snapshots says; None where it is not there. Raises OSError.

    A damaged one may not be text: what is read of it then is nothing that anybody wrote.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def was_recreated(settings: Settings, group: str, topic: Topic) -> bool:
    """Whether a group has snapshots of another topic of this name, or of nobody knows which: the file is damaged.

    `snapshot_folder` deletes them. Raises errors.Fatal where the folder cannot be used.
    """
    folder = settings.data / "snapshots" / group
    try:
        known_id = note(folder / _TOPIC_ID)
    except OSError as error:
        raise _unusable(folder, error) from error
    return known_id not in (None, topic_id(settings.kafka, topic))


def snapshot_folder(settings: Settings, group: str, topic: Topic) -> Path:
    """The folder of a group's snapshots.

    Snapshots of a topic with another id are deleted: the topic was recreated, or is another broker's, so that their
    offsets mean nothing here. So are they where the file with the id is damaged. Raises errors.Fatal where the folder
    cannot be used.
    """
    folder = settings.data / "snapshots" / group
    id_file, present_id = folder / _TOPIC_ID, topic_id(settings.kafka, topic)
    try:
        known_id = note(id_file)
        if known_id == present_id:
            return folder
        if known_id is not None:
            reason = f"they are of another topic {topic.name}, or {id_file.name}, the file with its id, is damaged"
            log.warning("snapshots deleted", folder=str(folder), reason=reason)
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        id_file.write_text(present_id)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def empty_snapshot_folder(folder: Path, kafka: KafkaSettings, topic: Topic) -> None:
    """Delete the snapshots of a topic that does not continue: they may hold what is not in it any more.

    Raises errors.Fatal.
    """
    try:
        shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / _TOPIC_ID).write_text(topic_id(kafka, topic))
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> Fatal:
    return Fatal(f"the folder of snapshots {folder} cannot be used: {error.strerror}")


class Restored(Protocol):
    """What a package restored from its snapshots."""

    @property
    def offset(self) -> int:
        """The next offset to read; 0 with an empty state."""

    @property
    def refused(self) -> Sequence[Exception]:
        """Why newer snapshots were skipped."""


def is_usable(restored: Restored, kafka: KafkaSettings, positions: Positions, now: datetime) -> bool:
    """Whether the restored state can be used at these positions, at `now`. Logs which snapshots were skipped.

    A snapshot of a higher offset cannot: where the group's offsets were set back, it holds records that are to be
    processed again. Nor can one that is older than the tombstones which the topic still has: it may hold scans whose
    tombstones are compacted away. The topic, read from its beginning, does not.
    """
    for reason in restored.refused:
        log.warning("snapshot skipped", reason=str(reason))
    (((topic, _), end),) = positions.items()
    if restored.offset > end:
        return False
    if 0 < restored.offset < tombstones_from(kafka, topic, now):
        log.warning("snapshot skipped", reason=f"tombstones of {topic} since offset {restored.offset} may be gone")
        return False
    return True


def batches_since(kafka: KafkaSettings, offset: int, positions: Positions) -> Iterator[list[Received]]:
    """The records from `offset` up to the positions, in batches."""
    return batches(read_until(kafka, positions, dict.fromkeys(positions, offset)))


def batches(received: Iterable[Received]) -> Iterator[list[Received]]:
    """Records in batches of a thousand. A thread reads the next batch while the caller processes one."""
    iterator = iter(received)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        ahead = reader.submit(list, islice(iterator, _BATCH))
        while batch := ahead.result():
            ahead = reader.submit(list, islice(iterator, _BATCH))
            yield batch

"""What was erased: the records of `erasures`, the key of their digests, and the copy of both in the data folder.

The copy is what a backup of the broker cannot take away: where the topic lacks a record that the copy has, an older
state was restored, and what was erased may be there again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from erasure.digests import Digests, new_key
from errors import Fatal
from schemas.codec import encoded
from schemas.erasures import ErasureState, FacesErased
from schemas.topics import ERASURES, Tombstone
from settings import KafkaSettings, Settings
from stream.following import Follower
from stream.reading import latest_events

FOLDER = "erasures"
_KEY, _RECORDS = "key", "records.jsonl"
_LOOK_EVERY_S = 1.0


def folder_of(settings: Settings) -> Path:
    """The folder of the key and the copy."""
    return settings.data / FOLDER


def digests_of(folder: Path) -> Digests:
    """The digests by the key in this folder. Raises Fatal where there is none, or it cannot be used."""
    try:
        return Digests(bytes.fromhex((folder / _KEY).read_text().strip()))
    except FileNotFoundError as error:
        raise Fatal(
            f"there is no {folder / _KEY}: without the key of the erasures nobody can see which faces were erased, and "
            "they would be found again; copy it from the data folder where facestream erase was called"
        ) from error
    except (OSError, ValueError) as error:
        raise Fatal(f"the key of the erasures, {folder / _KEY}, cannot be used: {error}") from error


def made_digests(folder: Path) -> Digests:
    """The same, with a new key where there is none yet. Only whoever erases may call this."""
    path = folder / _KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_safely(path, (new_key().hex() + "\n").encode())
    return digests_of(folder)


def write_safely(path: Path, content: bytes) -> None:
    """Write a file for its owner alone; it is on the disk, whole or as it was before."""
    unfinished = path.with_name(f"{path.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def copied(folder: Path) -> dict[str, FacesErased]:
    """The records of the copy, by id. Raises Fatal where it cannot be read."""
    path = folder / _RECORDS
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
        records = [FacesErased.model_validate_json(line) for line in lines]
    except (OSError, ValidationError) as error:
        raise Fatal(f"the erasures that {path} has cannot be read: restore the file from a backup") from error
    return {record.erasure_id: record for record in records}


def copy(folder: Path, records: Iterable[FacesErased]) -> None:
    """Write these records into the copy, beside those that it has. Raises OSError."""
    kept = copied(folder) | {record.erasure_id: record for record in records}
    write_safely(folder / _RECORDS, b"".join(encoded(record) + b"\n" for record in kept.values()))


def published(kafka: KafkaSettings) -> dict[str, FacesErased]:
    """The records of the topic, by id."""
    return latest_events(kafka, ERASURES, FacesErased, lambda record: record)


def missing(settings: Settings) -> dict[str, FacesErased]:
    """The records of the copy that the topic lacks, by id: where there are any, an older state was restored."""
    known = copied(folder_of(settings))
    there = published(settings.kafka).keys() if known else set()
    return {erasure_id: record for erasure_id, record in known.items() if erasure_id not in there}


def check_restored(settings: Settings) -> None:
    """Raise Fatal where the topic lacks an erasure that the data folder has: a backup was restored."""
    if lacking := missing(settings):
        raise Fatal(
            f"{len(lacking)} erasures are missing from the topic {ERASURES.name}, so an older state was restored, and "
            "what was erased may be in it: facestream erase --again erases it again"
        )


class Erasures(AbstractContextManager["Erasures"]):
    """The erasures as they are on the broker. Several threads may use one.

    look_every_s: how old what it knows may be.
    """

    def __init__(self, kafka: KafkaSettings, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._kafka = kafka
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        self._topic: Follower | None = None
        self._looked_at = -look_every_s
        self._records: dict[str, FacesErased] = {}
        self._latest = dict.fromkeys(ErasureState, "")
        self._offsets: dict[str, int] = {}

    def records(self) -> dict[str, FacesErased]:
        """All erasures, by id. Raises KafkaError where the broker does not answer."""
        with self._lock:
            self._look()
            return self._records

    def offset_of(self, erasure_id: str) -> int | None:
        """Where the record of an erasure is in the topic, as it was when the records were looked at."""
        return self._offsets.get(erasure_id)

    def latest(self, state: ErasureState) -> str:
        """What the latest record of this state is known by, "" before the first. Raises KafkaError.

        By its offset and id: a topic that was restored from a backup may have other records at the same offsets.
        """
        with self._lock:
            self._look()
            return self._latest[state]

    def _look(self) -> None:
        if time.monotonic() < self._looked_at + self._look_every_s:
            return
        if self._topic is None:
            self._topic = Follower(self._kafka, ERASURES)
        news = self._topic.news()
        if news.is_another:
            self._records, self._latest = {}, dict.fromkeys(ErasureState, "")
        for one in news.received:
            if isinstance(one.message, FacesErased):
                self._records = self._records | {one.message.erasure_id: one.message}
                self._latest[one.message.state] = f"{one.offset}/{one.message.erasure_id}"
                self._offsets[one.message.erasure_id] = one.offset
            elif isinstance(one.message, Tombstone):
                # Compaction takes the record away too, sooner or later.
                self._records = {key: record for key, record in self._records.items() if key != one.message.key}
        self._looked_at = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        if self._topic is not None:
            self._topic.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

"""Compares the records of `neighbours` with the live analyses, and publishes what differs.

Outputs and offsets are committed together, so they differ only where a topic has lost or gained records otherwise:
where a broker was restored from a backup, or somebody wrote or deleted there. The audit cannot notice a scan without a
record, because it reads the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound, neighbours_key
from schemas.topics import FACES, NEIGHBOURS, Tombstone, Topic
from settings import KafkaSettings
from stream.reading import Log, latest_events
from stream.records import Publication

# Of so many analyses the vectors are in memory at a time.
_AT_ONCE = 500


@dataclass(frozen=True)
class Repair:
    """What differed. records: of live analyses without one. tombstones: for records of what is not there any more."""

    records: tuple[NeighboursFound, ...]
    tombstones: tuple[Tombstone, ...]

    @property
    def publication(self) -> Publication:
        """As it is published, tombstones first: a scan that is analysed again may have a lower number than before."""
        return Publication([*self.tombstones, *self.records])

    def __bool__(self) -> bool:
        """Whether anything differed."""
        return bool(self.records or self.tombstones)


def added_up(repairs: Iterable[Repair]) -> Repair:
    """What differed in all."""
    all_ = list(repairs)
    return Repair(
        tuple(record for one in all_ for record in one.records),
        tuple(tombstone for one in all_ for tombstone in one.tombstones),
    )


def repair(
    kafka: KafkaSettings,
    index: FaceIndex,
    *,
    will_follow: bool = False,
    topic: Topic = NEIGHBOURS,
    faces: Topic = FACES,
) -> Repair:
    """What to publish so that `neighbours` has a record of each live analysis of an index, and of nothing else.

    will_follow: the index is empty, and reads `faces` next. Then records of analyses that are there are left alone.
    topic, faces: those that it writes and reads.
    """
    shard = index.parameters.shard
    published = published_analyses(kafka, shard, topic)
    if will_follow:
        entries = (entry for found in _analyses(kafka, faces, sorted(published.values())) for entry in found)
        present = {(neighbours_key(entry.scan_id, shard), entry.analysis) for entry in entries}
        return Repair((), tuple(_gone(key for key, analysis in published.items() if (key, analysis) not in present)))
    live = {neighbours_key(scan_id, shard): scan.analysis for scan_id, scan in index.scans.items()}
    missing = sorted(analysis for key, analysis in live.items() if published.get(key) != analysis)
    records = [record for entries in _analyses(kafka, faces, missing) for record in index.search(entries)]
    return Repair(tuple(records), tuple(_gone(key for key in published if key not in live)))


def _gone(keys: Iterable[str]) -> Iterator[Tombstone]:
    return (Tombstone(NEIGHBOURS, key) for key in keys)


def published_analyses(kafka: KafkaSettings, shard: int, topic: Topic = NEIGHBOURS) -> Mapping[str, int]:
    """The number of the analysis that the latest record of each key is of, as far as it is of this shard."""
    return latest_events(
        kafka, topic, NeighboursFound, lambda record: record.analysis if record.shard == shard else None
    )


def _analyses(kafka: KafkaSettings, topic: Topic, numbers: list[int]) -> Iterator[list[Analysed]]:
    with Log(kafka, topic) as faces:
        for start in range(0, len(numbers), _AT_ONCE):
            found = faces.at(numbers[start : start + _AT_ONCE])
            yield [Analysed(one.offset, one.message) for one in found if isinstance(one.message, ScanAnalysed)]

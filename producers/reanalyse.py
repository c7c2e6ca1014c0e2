"""Publishing scans again, unchanged, so that `detect` analyses them with its present models and settings.

Faces keep their ids where the boxes overlap, and so all decisions about them still apply. A scan that is withdrawn or
changed meanwhile is left out (`producers.republisher`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from errors import UserError
from producers.kept import with_faces
from producers.known import known_scans
from producers.republisher import Republisher
from schemas.scans import ScanPublished
from schemas.topics import ERASURES, SCANS
from settings import KafkaSettings
from stream.reading import end_of
from stream.records import Positions


@dataclass(frozen=True)
class Chosen:
    """Published scans by id, and the ends of `scans` and `erasures` before they were read."""

    scans: Mapping[str, ScanPublished]
    read_to: Positions


def chosen_scans(
    kafka: KafkaSettings, scan_ids: Sequence[str] = (), collection: str | None = None, folder: Path | None = None
) -> Chosen:
    """The published scans of these ids and of this collection; all scans where neither is given.

    They are found by an index in the data folder `folder`; without one, all of `scans` is read. Raises UserError where
    there is no such scan, and errors.Fatal.
    """
    read_to = {**end_of(kafka, SCANS), **end_of(kafka, ERASURES)}
    with known_scans(kafka, folder) as known:
        chosen = list(scan_ids)
        if collection is not None:
            chosen += known.of_collection(collection)
        elif not chosen:
            chosen = [scan_id for scan_id, _ in known.items()]
        scans = known.latest(chosen)
    for scan_id in scan_ids:
        if scan_id not in scans:
            raise UserError(f"no scan {scan_id!r} is published: nothing is analysed again")
    if collection is not None and not any(scan.collection == collection for scan in scans.values()):
        raise UserError(f"no scan of a collection {collection!r} is published: nothing is analysed again")
    return Chosen(scans, read_to)


def publish_again(
    kafka: KafkaSettings,
    chosen: Chosen,
    now: Callable[[], datetime],
    folder: Path | None = None,
    analysed_otherwise: str | None = None,
) -> Iterator[ScanPublished]:
    """Publish these scans with the faces to keep, found by an index in `folder`; yields each that was published.

    analysed_otherwise: only those whose latest analysis is not by this embedder.

    Nothing is sent before the first scan is taken from the iterator. Those that it yields the broker has confirmed.
    Raises errors.Fatal when it does not, and UserError where something is erased meanwhile.
    """
    with Republisher(kafka, now, chosen.read_to) as republisher:
        yield from republisher.publish(with_faces(kafka, chosen.scans, chosen.scans, folder, analysed_otherwise))

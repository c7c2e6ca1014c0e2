"""Publishing scans again, unchanged, so that `detect` analyses them with its present models and settings.

Faces keep their ids where the boxes overlap, and so all decisions about them still apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from errors import UserError
from producers.kept import with_faces
from producers.known import known_scans
from producers.publisher import Publisher
from schemas.scans import ScanPublished
from settings import KafkaSettings


def chosen_scans(
    kafka: KafkaSettings, scan_ids: Sequence[str] = (), collection: str | None = None, folder: Path | None = None
) -> dict[str, ScanPublished]:
    """The published scans of these ids and of this collection, by id; all scans where neither is given.

    They are found by an index in the data folder `folder`; without one, all of `scans` is read. Raises UserError where
    there is no such scan, and errors.Fatal.
    """
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
    return scans


def publish_again(
    kafka: KafkaSettings, scans: dict[str, ScanPublished], now: Callable[[], datetime], folder: Path | None = None
) -> Iterator[ScanPublished]:
    """Publish these scans with the faces to keep, found by an index in `folder`; yields each scan as it is sent.

    Nothing is sent before the first scan is taken from the iterator. At its end the broker has confirmed all of them.
    Raises errors.Fatal when it does not.
    """
    advice = "do the same again when it answers: a scan that is analysed twice keeps its faces"
    with Publisher(kafka, now, "scans", advice) as publisher:
        for scan in with_faces(kafka, scans, scans, folder):
            publisher.send(scan)
            yield scan

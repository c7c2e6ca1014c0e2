"""The index consumer: `faces` in, `neighbours` out. Its state is the vectors of all live faces of one shard."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from calibration.reference import Reference
from consumers import stages
from consumers.audit import Auditor
from consumers.references import published_reference, reference_of
from consumers.resume import batches, batches_since, is_usable, snapshot_folder
from errors import Fatal, SnapshotRefused
from index import snapshot
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.codec import InvalidRecord
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, Tombstone
from settings import KafkaSettings, Settings
from stream.groups import known_groups
from stream.reading import read_until
from stream.records import Output, Positions, Publication, Received, Rejected, RestoredStep, Unfinished
from stream.transform import transform

log = structlog.get_logger()

GROUP = stages.INDEX

_MAX_RECORDS = 256

_SPARE = 4


def step(index: FaceIndex, batch: Sequence[Received]) -> list[Output]:
    """Apply analyses and withdrawals to the index; its records of the neighbours of each new face."""
    entries, rejected = index_entries(batch)
    return [*rejected, *index.apply(entries)]


def index_entries(batch: Iterable[Received]) -> tuple[list[Analysed | Withdrawn], list[Rejected]]:
    """The records of `faces` as entries of the index, an analysis numbered by its offset; and the invalid records."""
    entries: list[Analysed | Withdrawn] = []
    rejected: list[Rejected] = []
    for received in batch:
        message = received.message
        try:
            if isinstance(message, ScanAnalysed):
                entries.append(Analysed(received.offset, message))
            elif isinstance(message, Tombstone):
                entries.append(Withdrawn(message.key))
        except InvalidRecord as error:
            rejected.append(Rejected(received, str(error)))
    return entries, rejected


def group_of(shard: int, shards: int) -> str:
    """The consumer group of a shard: each reads all of `faces`."""
    return GROUP if shards == 1 else f"{GROUP}-{shard}-of-{shards}"


def parameters_of(settings: Settings, reference: Reference | None, shard: int = 0, shards: int = 1) -> Parameters:
    """The parameters of an index with these settings, and the reference, if there is one.

    Where shared neighbours count, a record has more of them than the clustering uses: which ones those are is known
    only with the faces that come later.
    """
    clustering = settings.clustering
    return Parameters(
        eps_max=clustering.eps_max,
        shard=shard,
        shards=shards,
        reference=reference,
        most_neighbours=_SPARE * clustering.most_neighbours if clustering.shared_weight else None,
        **settings.index.model_dump(),
    )


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    shard: int = 0,
    shards: int = 1,
) -> None:
    """Run one shard until `stop` is set. Raises errors.Fatal."""
    group = group_of(shard, shards)
    _refuse_other_shards(settings, shards)
    parameters = parameters_of(settings, reference_of(settings), shard, shards)
    folder = snapshot_folder(settings, group, FACES)

    with Auditor(settings.kafka) as auditor:

        def restore_step(positions: Positions) -> RestoredStep:
            index = _restored(settings, parameters, folder, positions, clock())
            return RestoredStep(
                lambda batch: step(index, batch),
                lambda unfinished: _with_this_reference(settings, index, positions, unfinished),
                idle=lambda metadata: auditor.audit_next(index, metadata),
                save=lambda positions: _save(index, folder, positions),
            )

        transform(
            settings.kafka, group, member, [FACES], restore_step, max_records=_MAX_RECORDS, stop=stop, clock=clock
        )


def _restored(
    settings: Settings, parameters: Parameters, folder: Path, positions: Positions, now: datetime
) -> FaceIndex:
    """The index at these positions. Nothing is searched."""
    try:
        restored = snapshot.load(folder, parameters)
    except SnapshotRefused as error:
        raise Fatal(str(error)) from error
    usable = is_usable(restored, settings.kafka, positions, now)
    index, offset = (restored.index, restored.offset) if usable else (FaceIndex(parameters), 0)
    for batch in batches_since(settings.kafka, offset, positions):
        index.apply(index_entries(batch)[0], search=False)
    return index


def _with_this_reference(
    settings: Settings, index: FaceIndex, positions: Positions, unfinished: Unfinished | None
) -> list[Publication]:
    """All records again, where those that are published have distances of another reference."""
    parameters = index.parameters
    try:
        published = published_reference(settings, parameters.shard)
    except LookupError:
        published = parameters.reference_name if not index.scans else None
    if published == parameters.reference_name and unfinished is None:
        return []
    log.info("all neighbours are published again", reference=parameters.reference_name, before=published)
    records: list[NeighboursFound] = []
    for batch in batches(read_until(settings.kafka, positions)):
        entries = [entry for entry in index_entries(batch)[0] if isinstance(entry, Analysed)]
        records += index.search(entries)
    return [Publication(records)]


def _save(index: FaceIndex, folder: Path, positions: Positions) -> None:
    (offset,) = positions.values()
    snapshot.save(index, folder, offset)


def shards_known(kafka: KafkaSettings) -> int | None:
    """The number of shards of which these topics were indexed; None before the first. Raises Fatal without a broker."""
    matches = (re.fullmatch(rf"{GROUP}(?:-\d+-of-(\d+))?", group) for group in sorted(known_groups(kafka)))
    return next((int(match[1] or 1) for match in matches if match), None)


def _refuse_other_shards(settings: Settings, shards: int) -> None:
    """Raise Fatal for another number of shards: nothing would withdraw the records that the former shards published."""
    known = shards_known(settings.kafka)
    if known not in (None, shards):
        raise Fatal(
            f"these topics were indexed with a shard count of {known}, not {shards}: go on with that, or "
            "start on topics of their own"
        )

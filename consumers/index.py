"""The index consumer: `faces` in, `neighbours` out. Its state is the vectors of all live faces of one shard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from calibration.reference import Reference
from consumers.audit import Auditor, AuditProgress
from consumers.embedders import check_most_are_of
from consumers.erased import IndexErasure
from consumers.references import last_published, reference_of, space_of_settings
from consumers.repair import Repair, repair
from consumers.resume import batches, batches_since, empty_snapshot_folder, is_usable, snapshot_folder, was_recreated
from errors import Fatal, SnapshotRefused
from index import snapshot
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters
from schemas.claims import refused_claims
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.topics import FACES, NEIGHBOURS, Tombstone, Topic, of_generation
from settings import Settings
from stream import stages
from stream.continuity import Break
from stream.erasures import Erasures
from stream.generations import group_of as generation_group
from stream.pace import Pace
from stream.reading import read_until
from stream.records import Output, Positions, Publication, Received, Rejected, RestoredStep, Unfinished
from stream.shards import group_of, shards_known
from stream.transform import transform
from telemetry import metrics

log = structlog.get_logger()

GROUP = stages.INDEX

_MAX_RECORDS = 256

_SPARE = 4


def step(index: FaceIndex, batch: Sequence[Received], others: set[str] | None = None) -> list[Output]:
    """Apply analyses and withdrawals to the index; its records of the neighbours of each new face.

    Each embedder whose analyses are not compared is reported once; `others` holds those that were.
    """
    entries, rejected = index_entries(index, batch)
    for entry in entries:
        embedder = entry.scan.provenance.embedder if isinstance(entry, Analysed) and not index.compares(entry) else None
        if embedder is not None and others is not None and embedder not in others:
            others.add(embedder)
            log.warning(
                "analyses of another embedder: their faces have no neighbours until all scans are analysed with one",
                embedder=embedder,
                index=index.parameters.embedder,
            )
    return [*rejected, *index.apply(entries)]


def index_entries(index: FaceIndex, batch: Iterable[Received]) -> tuple[list[Analysed | Withdrawn], list[Rejected]]:
    """The records of `faces` as entries of the index, an analysis numbered by its offset; and the rejected ones.

    Those have a face that another scan has, which a shard knows of its own faces, or embeddings of another length than
    the embedder's.
    """
    fitting: list[tuple[Received, Analysed | Withdrawn]] = []
    rejected: list[Rejected] = []
    for received in batch:
        message = received.message
        if isinstance(message, ScanAnalysed):
            analysed = Analysed(received.offset, message)
            misfit = _misfit(index, analysed)
            if misfit is None:
                fitting.append((received, analysed))
            else:
                rejected.append(Rejected(received, misfit))
        elif isinstance(message, Tombstone):
            fitting.append((received, Withdrawn(message.key)))
    # Claims are made by what can be applied: a record that is refused neither takes faces nor gives any back.
    claims = [(entry.scan_id, _face_ids(entry)) for _, entry in fitting]
    refusals = refused_claims(claims, index.scans_of(face_id for _, face_ids in claims for face_id in face_ids))
    entries: list[Analysed | Withdrawn] = []
    for (received, entry), refusal in zip(fitting, refusals, strict=True):
        if refusal is None:
            entries.append(entry)
        else:
            rejected.append(Rejected(received, refusal))
    return entries, rejected


def _misfit(index: FaceIndex, entry: Analysed) -> str | None:
    if not entry.scan.faces or not index.compares(entry):
        return None
    length, wanted = entry.vectors.shape[1], index.parameters.dimension
    return None if length == wanted else f"an embedding of its embedder has {wanted} numbers, these have {length}"


def _face_ids(entry: Analysed | Withdrawn) -> list[str]:
    return [face.face_id for face in entry.scan.faces] if isinstance(entry, Analysed) else []


def parameters_of(settings: Settings, reference: Reference | None, shard: int = 0, shards: int = 1) -> Parameters:
    """The parameters of an index with these settings, and the reference, if there is one.

    Where shared neighbours count, a record has more of them than the clustering uses: which ones those are is known
    only with the faces that come later.
    """
    clustering = settings.clustering
    space = space_of_settings(settings)
    return Parameters(
        eps_max=clustering.eps_max,
        shard=shard,
        shards=shards,
        reference=reference,
        most_neighbours=_SPARE * clustering.most_neighbours if clustering.shared_weight else None,
        embedder=space.embedder,
        dimension=space.dimension,
        **settings.index.model_dump(),
    )


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    shard: int = 0,
    shards: int = 1,
    repaired: Callable[[Repair], None] | None = None,
    generation: str | None = None,
    max_rate: float | None = None,
    faces: Topic = FACES,
) -> None:
    """Run one shard until `stop` is set. Raises errors.Fatal.

    generation: the one that it is the index of; None: of all that have none of their own. max_rate: so many records a
    second are taken at most. faces: the analyses that it reads. With `repaired`, which is called with what was repaired
    at the start, until there is nothing more to read.
    """
    group = group_of(shard, shards) if generation is None else generation_group(GROUP, generation)
    neighbours = of_generation(NEIGHBOURS, generation)
    if generation is None:
        _refuse_other_shards(settings, shards)
    pace = Pace(max_rate, stop)
    parameters = parameters_of(settings, reference_of(settings), shard, shards)
    others: set[str] = set()
    is_broken = threading.Event()
    if was_recreated(settings, group, faces):
        is_broken.set()
    folder = snapshot_folder(settings, group, faces)

    def start_over(_: Sequence[Break]) -> str:
        is_broken.set()
        empty_snapshot_folder(folder, settings.kafka, faces)
        return f"the records of neighbours are compared with what is left, and corrected; {faces.way_back}"

    with Auditor(settings.kafka, neighbours, faces) as auditor, Erasures(settings.kafka) as erasures:

        def restore_step(positions: Positions) -> RestoredStep:
            index = _restored(settings, parameters, folder, positions, clock())

            def to_publish(unfinished: Unfinished | None) -> list[Publication]:
                publications = _with_this_reference(settings, index, positions, unfinished, neighbours, faces)
                is_first = not any(positions.values())
                if repaired is None and unfinished is None and not is_broken.is_set() and not is_first:
                    return publications
                # At the first start there may be records too: Kafka drops offsets after a while.
                will_follow = is_first and not is_broken.is_set()
                differing = repair(settings.kafka, index, will_follow=will_follow, topic=neighbours, faces=faces)
                is_broken.clear()
                if differing:
                    counts = {"published": len(differing.records), "withdrawn": len(differing.tombstones)}
                    log.warning("neighbours repaired", **counts)
                if repaired is not None:
                    repaired(differing)
                if not publications:
                    return [differing.publication] if differing else []
                # All records are among these.
                return [replace(one, keyed=[*differing.tombstones, *one.keyed]) for one in publications]

            def idle(metadata: str) -> tuple[Sequence[Output], str]:
                if repaired is not None:
                    stop.set()
                    return (), metadata
                outputs, metadata = auditor.audit_next(index, metadata)
                _measure_audit(metadata)
                return outputs, metadata

            def measured_step(batch: Sequence[Received]) -> Sequence[Output]:
                pace.take(len(batch))
                outputs = step(index, batch, others)
                metrics.indexed_faces.set(index.faces)
                return outputs

            metrics.indexed_faces.set(index.faces)
            return RestoredStep(
                measured_step,
                to_publish,
                idle=idle,
                only_at_the_end=repaired is not None,
                erase=IndexErasure(settings.kafka, index, erasures, folder, neighbours, faces).next,
                save=lambda positions: _save(index, folder, positions),
            )

        transform(
            settings.kafka,
            group,
            member,
            [faces],
            restore_step,
            max_records=_MAX_RECORDS,
            stop=stop,
            clock=clock,
            generation=generation,
            start_over=start_over,
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
        index.apply(index_entries(index, batch)[0], search=False)
    return index


def _with_this_reference(
    settings: Settings,
    index: FaceIndex,
    positions: Positions,
    unfinished: Unfinished | None,
    neighbours: Topic,
    faces: Topic,
) -> list[Publication]:
    """All records again, where those that are published have distances of another reference or embedder."""
    parameters = index.parameters
    last = last_published(settings, parameters.shard, neighbours)
    nothing = None if index.scans else parameters.measure
    published = nothing if last is None else last.measure
    if published == parameters.measure and unfinished is None:
        return []
    if last is not None and last.embedder != parameters.embedder_name and unfinished is None:
        check_most_are_of(settings.kafka, space_of_settings(settings), faces)
    log.info("all neighbours are published again", measure=parameters.measure, before=published)
    records: list[NeighboursFound] = []
    for batch in batches(read_until(settings.kafka, positions)):
        entries = [entry for entry in index_entries(index, batch)[0] if isinstance(entry, Analysed)]
        records += index.search(entries)
    return [Publication(records)]


def _measure_audit(metadata: str) -> None:
    progress = AuditProgress.from_metadata(metadata)
    metrics.audited_scans.set(progress.scans)
    metrics.audit_recall.set(progress.recall)


def _save(index: FaceIndex, folder: Path, positions: Positions) -> None:
    (offset,) = positions.values()
    snapshot.save(index, folder, offset)


def _refuse_other_shards(settings: Settings, shards: int) -> None:
    """Raise Fatal for another number of shards: nothing would withdraw the records that the former shards published."""
    known = shards_known(settings.kafka)
    if known not in (None, shards):
        raise Fatal(
            f"these topics were indexed with a shard count of {known}, not {shards}: go on with that, or "
            "start on topics of their own"
        )

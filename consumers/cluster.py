"""The cluster consumer: `neighbours` in, `assignments` and `clusters` out. Its state is the graph.

On a start the graph is that of a snapshot and of `neighbours` since; nothing is searched. Then it is held against what
was published in `assignments`, and the difference is said: after other parameters, or where compaction has taken the
record away that would have told of a face's end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from clustering import snapshot
from clustering.clustering import Clustering, Delta, Parameters, PartWithdrawn
from consumers.resume import batches, is_usable, since, snapshots_of
from schemas.clusters import FaceAssigned
from schemas.neighbours import NeighboursFound, parse_neighbours_key
from schemas.topics import ASSIGNMENTS, CLUSTERS, NEIGHBOURS, Tombstone, of_generation
from settings import ClusteringSettings, KafkaSettings, Settings
from stream.errors import Fatal
from stream.reading import read_to_end
from stream.records import Opened, Output, Positions, Received, Rejected
from stream.topics import ensure_topics
from stream.transform import transform

GROUP = "cluster"

_MAX_RECORDS = 256


def parameters_of(settings: ClusteringSettings) -> Parameters:
    """What a clustering with these settings is made with."""
    return Parameters(**settings.model_dump(exclude={"eps_max"}))


def step(clustering: Clustering, batch: Sequence[Received]) -> list[Output]:
    """Take what was found near new faces into the graph; say what changed. Raises Fatal when eps reaches too far."""
    said: list[NeighboursFound | PartWithdrawn] = []
    rejected: list[Output] = []
    for received in batch:
        message = received.message
        if isinstance(message, NeighboursFound):
            said.append(message)
        elif isinstance(message, Tombstone):
            try:
                said.append(PartWithdrawn(*parse_neighbours_key(message.key)))
            except ValueError as error:
                rejected.append(Rejected(received, str(error)))
    try:
        delta = clustering.apply(said)
    except ValueError as error:
        raise Fatal(str(error)) from error
    return [*rejected, *outputs(delta)]


def outputs(delta: Delta) -> list[Output]:
    """A delta as it is published."""
    return [*delta.changes, *delta.assignments, *(Tombstone(ASSIGNMENTS, face_id) for face_id in delta.gone)]


def clustering_of(kafka: KafkaSettings, parameters: Parameters) -> Clustering:
    """All that stands in `neighbours` now, clustered. Nothing is searched, and no clusterer is disturbed."""
    clustering = Clustering(parameters)
    for batch in batches(read_to_end(kafka, NEIGHBOURS)):
        step(clustering, batch)
    return clustering


def difference(live: Iterable[FaceAssigned], published: Iterable[Received]) -> list[Output]:
    """What must be said so that `assignments`, read from its beginning, tells what is live."""
    latest = {it.message.key: it.message for it in published if isinstance(it.message, FaceAssigned | Tombstone)}
    before = {face_id: message for face_id, message in latest.items() if isinstance(message, FaceAssigned)}
    changed = [assignment for assignment in live if before.pop(assignment.face_id, None) != assignment]
    return [*changed, *(Tombstone(ASSIGNMENTS, face_id) for face_id in sorted(before))]


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str | None = None,
) -> None:
    """Run until `stop` is set: the live clusterer, or one of a generation of its own beside it.

    Raises stream.errors.Fatal.
    """
    parameters = parameters_of(settings.clustering)
    try:
        written = of_generation(ASSIGNMENTS, generation), of_generation(CLUSTERS, generation)
    except ValueError as error:
        raise Fatal(str(error)) from error
    ensure_topics(settings.kafka, written)

    group = GROUP if generation is None else f"{GROUP}-{generation}"
    folder = snapshots_of(settings, group, NEIGHBOURS)

    def open_step(positions: Positions) -> Opened:
        clustering = _restored(settings, parameters, folder, positions)
        return Opened(
            lambda batch: step(clustering, batch),
            difference(clustering.assignments(), read_to_end(settings.kafka, written[0])),
            save=lambda at: _save(clustering, folder, at),
        )

    transform(
        settings.kafka,
        group,
        member,
        [NEIGHBOURS],
        open_step,
        max_records=_MAX_RECORDS,
        stop=stop,
        clock=clock,
        generation=generation,
    )


def _restored(settings: Settings, parameters: Parameters, folder: Path, positions: Positions) -> Clustering:
    """The clustering at these positions. What changed on the way there was published before."""
    restored = snapshot.load(folder, parameters)
    usable = is_usable(restored, positions)
    clustering, offset = (restored.clustering, restored.offset) if usable else (Clustering(parameters), 0)
    for batch in since(settings.kafka, offset, positions):
        step(clustering, batch)
    return clustering


def _save(clustering: Clustering, folder: Path, positions: Positions) -> None:
    (offset,) = positions.values()
    snapshot.save(clustering, folder, offset)

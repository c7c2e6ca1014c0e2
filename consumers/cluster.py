"""The cluster consumer: `neighbours` and `labels` in, `assignments` and `clusters` out. Its state is the graph.

On a start the graph is that of a snapshot and of `neighbours` since, and all of `labels`; nothing is searched. Then it
is held against what was published in `assignments`, and the difference is said: after other parameters, or where
compaction has taken the record away that would have told of a face's end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from clustering import snapshot
from clustering.clustering import Clustering, ClusteringInput, DecisionDeleted, Delta, NeighboursWithdrawn, Parameters
from consumers.resume import batches, is_usable, since, snapshots_of
from errors import Fatal
from schemas.clusters import FaceAssigned
from schemas.codec import encoded
from schemas.neighbours import parse_neighbours_key
from schemas.topics import ASSIGNMENTS, CLUSTERS, LABELS, NEIGHBOURS, Tombstone, Topic, of_generation
from settings import ClusteringSettings, KafkaSettings, Settings
from stream.reading import latest_values, read_to_end, read_until
from stream.records import Output, Positions, Received, Rejected, RestoredStep
from stream.topics import ensure_topics
from stream.transform import transform

GROUP = "cluster"

# One owner reads both: each has one partition, and the assignor that is used, `range`, gives both to one member.
TOPICS = (NEIGHBOURS, LABELS)

_MAX_RECORDS = 256


def parameters_of(settings: ClusteringSettings) -> Parameters:
    """What a clustering with these settings is made with."""
    return Parameters(**settings.model_dump(exclude={"eps_max"}))


def step(clustering: Clustering, batch: Sequence[Received]) -> list[Output]:
    """Take in what was found near new faces, and decided; say what changed. Raises Fatal when eps reaches too far."""
    said: list[ClusteringInput] = []
    rejected: list[Output] = []
    for received in batch:
        message = received.message
        try:
            if isinstance(message, ClusteringInput):
                said.append(message)
            elif isinstance(message, Tombstone):
                said.append(_taken_back(message))
        except ValueError as error:
            rejected.append(Rejected(received, str(error)))
    try:
        delta = clustering.apply(said)
    except ValueError as error:
        raise Fatal(str(error)) from error
    return [*rejected, *outputs(delta)]


def _taken_back(tombstone: Tombstone) -> ClusteringInput:
    if tombstone.topic == LABELS:
        return DecisionDeleted(tombstone.key)
    return NeighboursWithdrawn(*parse_neighbours_key(tombstone.key))


def outputs(delta: Delta) -> list[Output]:
    """A delta as it is published."""
    return [*delta.changes, *delta.assignments, *(Tombstone(ASSIGNMENTS, face_id) for face_id in delta.removed)]


def clustering_of(kafka: KafkaSettings, parameters: Parameters) -> Clustering:
    """All that stands in `neighbours` and `labels`, clustered. Nothing is searched, and no clusterer is disturbed."""
    clustering = Clustering(parameters)
    for topic in TOPICS:
        for batch in batches(read_to_end(kafka, topic)):
            step(clustering, batch)
    return clustering


def difference(live: Iterable[FaceAssigned], published: dict[str, bytes]) -> list[Output]:
    """What must be said so that `assignments`, where these values stand by face id, tells what is live.

    `published` is used up.
    """
    changed = [assignment for assignment in live if published.pop(assignment.face_id, None) != encoded(assignment)]
    return [*changed, *(Tombstone(ASSIGNMENTS, face_id) for face_id in sorted(published))]


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str | None = None,
) -> None:
    """Run until `stop` is set: the live clusterer, or one of a generation of its own beside it.

    Raises errors.Fatal.
    """
    parameters = parameters_of(settings.clustering)
    try:
        written = of_generation(ASSIGNMENTS, generation), of_generation(CLUSTERS, generation)
    except ValueError as error:
        raise Fatal(str(error)) from error
    ensure_topics(settings.kafka, written)

    group = GROUP if generation is None else f"{GROUP}-{generation}"
    folder = snapshots_of(settings, group, NEIGHBOURS)

    def restore_step(positions: Positions) -> RestoredStep:
        clustering = _restored(settings, parameters, folder, positions, clock())
        return RestoredStep(
            lambda batch: step(clustering, batch),
            difference(clustering.assignments(), latest_values(settings.kafka, written[0])),
            save=lambda at: _save(clustering, folder, at),
        )

    transform(
        settings.kafka,
        group,
        member,
        TOPICS,
        restore_step,
        max_records=_MAX_RECORDS,
        stop=stop,
        clock=clock,
        generation=generation,
    )


def _restored(
    settings: Settings, parameters: Parameters, folder: Path, positions: Positions, now: datetime
) -> Clustering:
    """The clustering at these positions. What changed on the way there was published before.

    Decisions are few, and what they come to does not depend on when they came: they are read anew, all at the end.
    """
    neighbours, labels = (_of(topic, positions) for topic in TOPICS)
    restored = snapshot.load(folder, parameters)
    usable = is_usable(restored, settings.kafka, neighbours, now)
    clustering, offset = (restored.clustering, restored.offset) if usable else (Clustering(parameters), 0)
    for batch in since(settings.kafka, offset, neighbours):
        step(clustering, batch)
    step(clustering, list(read_until(settings.kafka, labels)))
    return clustering


def _of(topic: Topic, positions: Positions) -> Positions:
    found = {at: offset for at, offset in positions.items() if at[0] == topic.name}
    if not found:
        raise Fatal(f"the broker gave another member of this group the topic {topic.name}: start this one again")
    return found


def _save(clustering: Clustering, folder: Path, positions: Positions) -> None:
    (offset,) = _of(NEIGHBOURS, positions).values()
    snapshot.save(clustering, folder, offset)

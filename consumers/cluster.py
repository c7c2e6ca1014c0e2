"""The cluster consumer: `neighbours` and `labels` in, `assignments` and `clusters` out. Its state is the graph.

On a start the graph is restored from a snapshot, the records of `neighbours` since, and all of `labels`; nothing is
searched. Then it is compared with what was published in `assignments`, and the difference is published: assignments,
and the changes of clusters that lead there. There is one after a change of parameters, where a process was killed
while it published a large delta, and where compaction has deleted the tombstone that removed a face.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from clustering import snapshot
from clustering.cluster_changes import Place
from clustering.clustering import Clustering, ClusteringInput, DecisionDeleted, Delta, NeighboursWithdrawn, Parameters
from clustering.reconciliation import Expected, Published, reconcile
from consumers import stages
from consumers.references import FollowedReference, followed_reference
from consumers.resume import batches, batches_since, is_usable, snapshot_folder
from errors import Fatal
from schemas.base import Event
from schemas.clusters import Role
from schemas.neighbours import parse_neighbours_key
from schemas.topics import ASSIGNMENTS, CLUSTERS, LABELS, NEIGHBOURS, Record, Tombstone, Topic, of_generation
from settings import ClusteringSettings, KafkaSettings, Settings
from stream.chunks import DELTA
from stream.reading import latest_values, read_to_end, read_until
from stream.records import Headers, Positions, Publication, Received, Rejected, RestoredStep, Unfinished
from stream.topics import ensure_topics
from stream.transform import transform

GROUP = stages.CLUSTER

TOPICS = stages.STAGES[GROUP]

_MAX_RECORDS = 256

# CloudEvents attribute of the assignments of a delta that takes several transactions.
FORMER = "ce_former"


def parameters_of(settings: ClusteringSettings, reference: str | None = None) -> Parameters:
    """The parameters of a clustering with these settings, and the name of the reference, if there is one."""
    shared = settings.shared_weight > 0
    return Parameters(
        **settings.model_dump(exclude={"distance", "reference", "eps_max", "most_neighbours"}),
        reach=settings.eps_max if shared else None,
        most_neighbours=settings.most_neighbours if shared else None,
        reference=reference,
    )


def present_parameters(settings: Settings) -> Parameters:
    """The parameters of these settings, for the distances that the index publishes now."""
    return parameters_of(settings.clustering, followed_reference(settings))


def step(clustering: Clustering, batch: Sequence[Received]) -> Publication:
    """Apply neighbours and decisions to the clustering; what changed. Raises Fatal when eps is beyond eps_max."""
    inputs: list[ClusteringInput] = []
    rejected: list[Rejected] = []
    for received in batch:
        message = received.message
        try:
            if isinstance(message, ClusteringInput):
                inputs.append(message)
            elif isinstance(message, Tombstone):
                inputs.append(_deletion(message))
        except ValueError as error:
            rejected.append(Rejected(received, str(error)))
    try:
        delta = clustering.apply(inputs)
    except ValueError as error:
        raise Fatal(str(error)) from error
    return replace(publication_of(delta), rejected=rejected)


def _deletion(tombstone: Tombstone) -> ClusteringInput:
    if tombstone.topic == LABELS:
        return DecisionDeleted(tombstone.key)
    return NeighboursWithdrawn(*parse_neighbours_key(tombstone.key))


def publication_of(delta: Delta) -> Publication:
    """A delta as it is published.

    Where it takes several transactions, each record of `assignments` has a header with the place of its face before the
    delta. A process that is killed meanwhile loses nothing: its restart knows what was published before the delta.
    """
    removed = [Tombstone(ASSIGNMENTS, face_id) for face_id in delta.removed]

    def former(output: Event | Tombstone) -> Headers:
        return ((FORMER, former_header(delta.former.get(output.key))),)

    return Publication([*delta.assignments, *removed], delta.changes, headers=former)


def former_header(place: Place | None) -> bytes:
    """A place as the role and, after a space, the cluster's id. Empty: no assignment."""
    if place is None:
        return b""
    return f"{place.role.value} {place.cluster_id or ''}".encode()


def place_of(header: bytes) -> Place | None:
    """The place that `former_header` wrote; None where there was no assignment."""
    role, _, cluster_id = header.decode().partition(" ")
    return Place(cluster_id or None, Role(role)) if role else None


def clustering_of(kafka: KafkaSettings, parameters: Parameters) -> Clustering:
    """All records of `neighbours` and `labels`, clustered. Nothing is searched or published."""
    clustering = Clustering(parameters)
    for topic in TOPICS:
        for batch in batches(read_to_end(kafka, topic)):
            step(clustering, batch)
    return clustering


def published_in(
    kafka: KafkaSettings, assignments: Topic, unfinished: Unfinished | None, clustering: Clustering
) -> Published:
    """What of `assignments` differs from a clustering, and where the faces of an unfinished delta were before it."""
    expected = Expected(clustering)
    if unfinished is None:
        return Published(latest_values(kafka, assignments, filtered=expected.different), expected.same)
    former: dict[str, Place | None] = {}

    def see(face_id: str, record: Record) -> None:
        headers = dict(record.headers)
        if headers.get(DELTA) == unfinished.delta.encode():
            former[face_id] = place_of(headers[FORMER])

    values = latest_values(kafka, assignments, see, expected.different)
    return Published(values, expected.same, former, unfinished.logged)


def difference(clustering: Clustering, published: Published, unfinished: Unfinished | None) -> list[Publication]:
    """What to publish so that the topics hold what the clustering does, completing an unfinished delta first."""
    deltas = list(reconcile(clustering, published))
    if unfinished is None:
        deltas = [delta for delta in deltas if delta != Delta()]
    return [publication_of(delta) for delta in deltas]


def run(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    generation: str | None = None,
) -> None:
    """Run until `stop` is set: the live clusterer, or that of a generation beside it. Raises errors.Fatal."""
    try:
        assignments, clusters = of_generation(ASSIGNMENTS, generation), of_generation(CLUSTERS, generation)
    except ValueError as error:
        raise Fatal(str(error)) from error
    ensure_topics(settings.kafka, (assignments, clusters))

    group = GROUP if generation is None else f"{GROUP}-{generation}"
    folder = snapshot_folder(settings, group, NEIGHBOURS)

    def restore_step(positions: Positions) -> RestoredStep:
        reference = FollowedReference(settings)
        parameters = parameters_of(settings.clustering, reference.name)
        clustering = _restored(settings, parameters, folder, positions, clock())

        def checked_step(batch: Sequence[Received]) -> Publication:
            reference.check(batch)
            return step(clustering, batch)

        return RestoredStep(
            checked_step,
            lambda unfinished: difference(
                clustering, published_in(settings.kafka, assignments, unfinished, clustering), unfinished
            ),
            save=lambda positions: _save(clustering, folder, positions),
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
    """The clustering at these positions. The changes that lead there are published already, so they are discarded.

    Decisions are few, and their effect does not depend on their order: all of them are read again, at the end.
    """
    neighbours, labels = (_of(topic, positions) for topic in TOPICS)
    restored = snapshot.load(folder, parameters)
    usable = is_usable(restored, settings.kafka, neighbours, now)
    clustering, offset = (restored.clustering, restored.offset) if usable else (Clustering(parameters), 0)
    for batch in batches_since(settings.kafka, offset, neighbours):
        step(clustering, batch)
    step(clustering, list(read_until(settings.kafka, labels)))
    return clustering


def _of(topic: Topic, positions: Positions) -> Positions:
    """The positions in one topic. Raises Fatal where it was assigned to another member than the other topic."""
    of_topic = {(name, number): offset for (name, number), offset in positions.items() if name == topic.name}
    if not of_topic:
        raise Fatal(f"the broker gave another member of this group the topic {topic.name}: start this one again")
    return of_topic


def _save(clustering: Clustering, folder: Path, positions: Positions) -> None:
    (offset,) = _of(NEIGHBOURS, positions).values()
    snapshot.save(clustering, folder, offset)

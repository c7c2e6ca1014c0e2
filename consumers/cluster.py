"""The cluster consumer: `neighbours` and `labels` in, `assignments` and `clusters` out. Its state is the graph.

On a start the graph is restored from a snapshot, the records of `neighbours` since, and all of `labels`; nothing is
searched. Then it is compared with what was published in `assignments`, and the difference is published: assignments,
and the changes of clusters that lead there. There is one after a change of parameters, where a process was killed
while it published a large delta, and where compaction has deleted the tombstone that removed a face.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from clustering import snapshot
from clustering.cluster_changes import Place
from clustering.clustering import Clustering, Delta, Parameters
from clustering.reconciliation import Expected, Published, reconcile
from consumers.cluster_inputs import inputs_of
from consumers.erased import ClusterErasure
from consumers.references import FollowedReference, await_embedder, followed_reference, space_of_settings
from consumers.resume import batches, batches_since, empty_snapshot_folder, is_usable, snapshot_folder
from errors import Fatal
from models.descriptions import DLIB_SPACE, Space
from schemas.base import Event
from schemas.clusters import Change, ClusterChanged, Role
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    LABELS,
    NEIGHBOURS,
    Record,
    Tombstone,
    Topic,
    of_generation,
    topic_named,
)
from settings import ClusteringSettings, KafkaSettings, Settings
from stream import stages
from stream.chunks import DELTA
from stream.continuity import Break
from stream.erasures import Erasures
from stream.generations import group_of
from stream.pace import Pace
from stream.reading import latest_values, read_to_end, read_until
from stream.records import Headers, Positions, Publication, Received, RestoredStep, Unfinished
from stream.topics import ensure_topics
from stream.transform import transform
from telemetry import metrics

GROUP = stages.CLUSTER

TOPICS = stages.STAGES[GROUP]

# In a large person each new face changes who shares neighbours with whom; several of its faces in one batch, only once.
_MAX_RECORDS = 1024

# CloudEvents attribute of the assignments of a delta that takes several transactions.
FORMER = "ce_former"


def parameters_of(settings: ClusteringSettings, reference: str | None = None, space: Space = DLIB_SPACE) -> Parameters:
    """The parameters of a clustering with these settings, of embeddings in `space`, and the name of the reference, if
    there is one."""
    shared = settings.shared_weight > 0
    return Parameters(
        **settings.model_dump(exclude={"distance", "reference", "eps_max", "most_neighbours"}),
        reach=settings.eps_max if shared else None,
        most_neighbours=settings.most_neighbours if shared else None,
        reference=reference,
        embedder=space.published,
        unit=space.unit,
    )


def present_parameters(settings: Settings, neighbours: Topic = NEIGHBOURS) -> Parameters:
    """The parameters of these settings, for the distances that the index publishes now."""
    space = space_of_settings(settings)
    return parameters_of(settings.clustering, followed_reference(settings, neighbours), space)


def step(clustering: Clustering, batch: Sequence[Received]) -> Publication:
    """Apply neighbours and decisions to the clustering; what changed, and what was rejected. Raises Fatal.

    See `inputs_of` for both.
    """
    usable, rejected = inputs_of(clustering, batch)
    delta = clustering.apply(usable)
    return replace(publication_of(delta), rejected=rejected)


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


def clustering_of(
    kafka: KafkaSettings, parameters: Parameters, neighbours: Topic = NEIGHBOURS, since: int = 0
) -> Clustering:
    """All records of `neighbours`, from an offset on, and of `labels`, clustered. Nothing is searched or published."""
    clustering = Clustering(parameters)
    for topic in (neighbours, LABELS):
        for batch in batches(read_to_end(kafka, topic)):
            step(clustering, _from(since, batch))
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
            former[face_id] = place_of(headers.get(FORMER) or b"")

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
    *,
    neighbours: Topic = NEIGHBOURS,
    since: int = 0,
    max_rate: float | None = None,
) -> None:
    """Run until `stop` is set: the clusterer of the first generation, or that of another one beside it.

    neighbours: the topic that it reads, where an index of its own writes one. since: the offset of it that the
    generation begins at; what is before it counts as not there. max_rate: so many records a second are taken at most.
    Raises errors.Fatal.
    """
    try:
        assignments, clusters = of_generation(ASSIGNMENTS, generation), of_generation(CLUSTERS, generation)
    except ValueError as error:
        raise Fatal(str(error)) from error
    ensure_topics(settings.kafka, (assignments, clusters))
    space = space_of_settings(settings)
    await_embedder(settings, stop, neighbours)
    if stop.is_set():
        return

    group = GROUP if generation is None else group_of(GROUP, generation)
    pace = Pace(max_rate, stop)
    folder = snapshot_folder(settings, group, neighbours)

    def start_over(breaks: Sequence[Break]) -> str:
        empty_snapshot_folder(folder, settings.kafka, neighbours)
        advice = dict.fromkeys(topic_named(one.topic).way_back for one in breaks)
        return f"all faces are clustered again by what is left; {'; '.join(advice)}"

    def restore_step(positions: Positions) -> RestoredStep:
        reference = FollowedReference(settings, neighbours)
        parameters = parameters_of(settings.clustering, reference.name, space)
        clustering = _restored(settings, parameters, folder, positions, clock(), neighbours, since)
        metrics.clusters.set(len(clustering.sizes()))
        metrics.clustered_faces.set(clustering.faces)

        def checked_step(batch: Sequence[Received]) -> Publication:
            reference.check(batch)
            pace.take(len(batch))
            publication = step(clustering, _from(since, batch))
            _count(clustering, publication)
            return publication

        def save(positions: Positions) -> None:
            _save(clustering, folder, positions, neighbours)

        return RestoredStep(
            checked_step,
            lambda unfinished: difference(
                clustering, published_in(settings.kafka, assignments, unfinished, clustering), unfinished
            ),
            save=save,
            erase=ClusterErasure(
                erasures,
                folder,
                lambda positions: snapshot.delete_all_but(_save(clustering, folder, positions, neighbours)),
            ).next,
        )

    with Erasures(settings.kafka) as erasures:
        transform(
            settings.kafka,
            group,
            member,
            (neighbours, LABELS),
            restore_step,
            max_records=_MAX_RECORDS,
            stop=stop,
            clock=clock,
            generation=generation,
            start_over=start_over,
        )


def _restored(
    settings: Settings,
    parameters: Parameters,
    folder: Path,
    positions: Positions,
    now: datetime,
    topic: Topic,
    since: int,
) -> Clustering:
    """The clustering at these positions. The changes that lead there are published already, so they are discarded.

    Decisions are few, and their effect does not depend on their order: all of them are read again, at the end.
    """
    neighbours, labels = (_of(one, positions) for one in (topic, LABELS))
    restored = snapshot.load(folder, parameters)
    usable = is_usable(restored, settings.kafka, neighbours, now)
    clustering, offset = (restored.clustering, restored.offset) if usable else (Clustering(parameters), 0)
    for batch in batches_since(settings.kafka, max(offset, since), neighbours):
        step(clustering, batch)
    step(clustering, list(read_until(settings.kafka, labels)))
    return clustering


def _from(since: int, batch: Sequence[Received]) -> Sequence[Received]:
    """The records of a generation that begins at this offset of `neighbours`."""
    return [it for it in batch if it.offset >= since or it.topic == LABELS.name] if since else batch


def _of(topic: Topic, positions: Positions) -> Positions:
    """The positions in one topic. Raises Fatal where it was assigned to another member than the other topic."""
    of_topic = {(name, number): offset for (name, number), offset in positions.items() if name == topic.name}
    if not of_topic:
        raise Fatal(f"the broker gave another member of this group the topic {topic.name}: start this one again")
    return of_topic


def _count(clustering: Clustering, publication: Publication) -> None:
    changes = Counter(event.change for event in publication.log if isinstance(event, ClusterChanged))
    for change, times in changes.items():
        metrics.cluster_changes.labels(change).inc(times)
    metrics.clusters.inc(changes[Change.CREATED] - changes[Change.MERGED] - changes[Change.RETIRED])
    metrics.clustered_faces.set(clustering.faces)


def _save(clustering: Clustering, folder: Path, positions: Positions, neighbours: Topic) -> Path:
    (offset,) = _of(neighbours, positions).values()
    return snapshot.save(clustering, folder, offset)

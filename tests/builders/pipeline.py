"""The index and the cluster consumer on a broker: how long they take, and what they have come to."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import DBSCAN

from consumers import cluster, index
from consumers.audit import AuditProgress
from schemas.clusters import FaceAssigned
from schemas.topics import ASSIGNMENTS, FACES, NEIGHBOURS, Tombstone, of_generation
from settings import Settings
from stream.lag import lag_reader
from stream.reading import end_of, read_to_end
from stream.shards import group_of
from tests.builders.clock import wait_until
from tests.builders.kafka import Stages

INDEX_AND_CLUSTER: Stages = {index.GROUP: [FACES], cluster.GROUP: cluster.TOPICS}


def last_assigned(settings: Settings, generation: str | None = None) -> dict[str, FaceAssigned]:
    """What a reader of `assignments` knows, by face id."""
    latest: dict[str, FaceAssigned] = {}
    for it in read_to_end(settings.kafka, of_generation(ASSIGNMENTS, generation)):
        if isinstance(it.message, FaceAssigned):
            latest[it.message.face_id] = it.message
        elif isinstance(it.message, Tombstone):
            del latest[it.message.key]
    return latest


def assignments(settings: Settings, generation: str | None = None) -> dict[str, str | None]:
    """The cluster of each face, by face id."""
    return {face_id: it.cluster_id for face_id, it in last_assigned(settings, generation).items()}


def dbscan_clusters(vectors: np.ndarray, eps: float) -> dict[str, str | None]:
    """scikit-learn's clusters of one-face scans with these embeddings, each named after its oldest face."""
    labels = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors.astype(np.float64))
    oldest = {label: f"face-{np.flatnonzero(labels == label)[0]:04}" for label in set(labels.tolist())}
    return {f"face-{number:04}": oldest[label] for number, label in enumerate(labels.tolist())}


def audited(settings: Settings, shard: int = 0, shards: int = 1) -> AuditProgress:
    """How far the audit of a shard has come, and what it found."""
    with lag_reader(settings.kafka) as reader:
        return AuditProgress.from_metadata(reader.checkpoint_metadata(group_of(shard, shards), FACES))


def wait_for_audit(settings: Settings, shards: int = 1, within_s: float = 60) -> None:
    """Wait until every shard has audited all that was written to `neighbours`."""

    def is_audited() -> bool:
        (end,) = end_of(settings.kafka, NEIGHBOURS).values()
        return min(audited(settings, shard, shards).offset for shard in range(shards)) >= end

    wait_until(is_audited, "the audit does not come to its end", within_s)

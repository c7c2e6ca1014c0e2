"""What a batch changed, as events: assignments, faces that were removed, changes of clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Names, Slots
from clustering.graph import Graph
from clustering.labelling import Labels
from clustering.nodes import Nodes
from clustering.published_clusters import PublishedClusters
from schemas.clusters import Change, ClusterChanged, FaceAssigned, Role, Suggestion

Roles = npt.NDArray[np.uint8]

_ROLES = (None, Role.CORE, Role.BORDER, Role.NOISE)
_UNPUBLISHED, _CORE, _BORDER, _NOISE = range(4)


@dataclass(frozen=True)
class Delta:
    """What a batch changed, relative to the state before it, and nothing else.

    changes are ordered by cluster id, those of clusters that existed before ahead of created ones. assignments, and
    removed, the ids of faces that have none any more, are ordered by face id.
    """

    changes: tuple[ClusterChanged, ...] = ()
    assignments: tuple[FaceAssigned, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _FormerMember:
    """A face that left a cluster, or has another role in it, and its cluster now."""

    face_id: str
    published_at: int
    stayed_core: bool
    cluster_id: str


def delta_of(graph: Graph, clusters: PublishedClusters, nodes: Slots, removed: Slots) -> Delta:
    """Compare the assignments of these nodes with the ones last published, and mark the present ones as published.

    `nodes` are those whose assignment may have changed, `removed` those that ceased to be live.
    """
    table = graph.nodes
    live = nodes[table.live[nodes]]
    cluster_ids = clusters.cluster_ids_of(live)
    roles = roles_of(table, live)
    changed = (roles != table.published_role[live]) | (cluster_ids != table.published_cluster[live])
    changed |= table.labels[live] != table.published_labels[live]
    live, cluster_ids, roles = live[changed], cluster_ids[changed], roles[changed]
    removed = removed[table.published_role[removed] != _UNPUBLISHED]
    former = _former_members(table, live, cluster_ids, roles, removed)
    assignments = sorted(assignments_of(graph, live, cluster_ids, roles), key=lambda assignment: assignment.face_id)
    # A face that was analysed again loses a node and gets another: it is assigned, not removed.
    assigned = {assignment.face_id for assignment in assignments}
    removed_faces = sorted(set(table.face_id[removed].tolist()) - assigned)
    mark_published(table, live, cluster_ids, roles)
    table.published_role[removed], table.published_cluster[removed] = _UNPUBLISHED, None
    table.published_labels[removed] = None
    return Delta(tuple(_cluster_changes(clusters, former)), tuple(assignments), tuple(removed_faces))


def mark_published(table: Nodes, live: Slots, cluster_ids: Names, roles: Roles) -> None:
    """Record these clusters and roles, and the present labels, as the last published ones of live nodes.

    Together with `delta_of` it owns the nodes' columns published_role, published_cluster and published_labels.
    """
    table.published_role[live], table.published_cluster[live] = roles, cluster_ids
    table.published_labels[live] = table.labels[live]


def roles_of(table: Nodes, live: Slots) -> Roles:
    """The role of each live node, as an index of `_ROLES`: uint8, shape (n,)."""
    in_cluster = (table.cluster[live] >= 0) | (table.constrained[live] >= 0)
    return np.where(table.core[live], _CORE, np.where(in_cluster, _BORDER, _NOISE)).astype(np.uint8)


def assignments_of(graph: Graph, live: Slots, cluster_ids: Names, roles: Roles) -> Iterator[FaceAssigned]:
    """The assignments of live nodes, in their order."""
    table = graph.nodes
    columns = (
        table.face_id[live].tolist(),
        graph.scan_ids_of(live),
        table.analysis[live].tolist(),
        cluster_ids.tolist(),
        roles.tolist(),
        table.labels[live].tolist(),
    )
    for face_id, scan_id, analysis, cluster_id, role, labels in zip(*columns, strict=True):
        distribution = _suggestions(labels)
        yield FaceAssigned(
            face_id=face_id,
            scan_id=scan_id,
            analysis=analysis,
            cluster_id=cluster_id,
            role=_ROLES[role],
            hard_label=labels and labels.hard,
            soft_label=distribution[0] if distribution else None,
            distribution=distribution,
        )


def _suggestions(labels: Labels | None) -> tuple[Suggestion, ...]:
    if labels is None:
        return ()
    return tuple(Suggestion(label_id=label_id, probability=value) for label_id, value in labels.distribution)


def _former_members(
    table: Nodes, live: Slots, cluster_ids: Names, roles: Roles, removed: Slots
) -> dict[str, list[_FormerMember]]:
    """By id of the cluster before: its faces whose assignment changed, and that are in a cluster still.

    `live` are the nodes whose assignment changed. A face that was analysed again is the same face: its former cluster
    is that of its removed node.
    """
    removed_published = zip(
        table.published_role[removed].tolist(), table.published_cluster[removed].tolist(), strict=True
    )
    published_of_removed = dict(zip(table.face_id[removed].tolist(), removed_published, strict=True))
    former: dict[str, list[_FormerMember]] = defaultdict(list)
    columns = (
        table.face_id[live].tolist(),
        table.published_at[live].tolist(),
        table.published_role[live].tolist(),
        table.published_cluster[live].tolist(),
        cluster_ids.tolist(),
        roles.tolist(),
    )
    for face_id, published_at, former_role, former_cluster, cluster_id, role in zip(*columns, strict=True):
        if former_role == _UNPUBLISHED:
            former_role, former_cluster = published_of_removed.get(face_id, (_UNPUBLISHED, None))
        if former_cluster is not None and cluster_id is not None:
            stayed_core = former_role == role == _CORE
            former[former_cluster].append(_FormerMember(face_id, published_at, stayed_core, cluster_id))
    return former


def _cluster_changes(clusters: PublishedClusters, former: dict[str, list[_FormerMember]]) -> Iterator[ClusterChanged]:
    before, after = clusters.sizes_before(), clusters.sizes_after()
    for cluster_id in sorted(before):
        yield from _changes_of(cluster_id, before[cluster_id], after.get(cluster_id, 0), former.get(cluster_id, []))
    for cluster_id in sorted(after.keys() - before.keys()):
        yield ClusterChanged(cluster_id=cluster_id, change=Change.CREATED, size=after[cluster_id])


def _changes_of(cluster_id: str, before: int, after: int, former: list[_FormerMember]) -> Iterator[ClusterChanged]:
    """The changes of a cluster that existed before, from its sizes: of its cores and size, then of its id."""
    parts = {member.cluster_id for member in former if member.stayed_core} | ({cluster_id} if after else set())
    if len(parts) > 1:
        yield ClusterChanged(cluster_id=cluster_id, change=Change.SPLIT, size=after, parts=tuple(sorted(parts)))
    elif after > before:
        yield ClusterChanged(cluster_id=cluster_id, change=Change.GROWN, size=after)
    elif 0 < after < before:
        yield ClusterChanged(cluster_id=cluster_id, change=Change.SHRUNK, size=after)
    if not after:
        # The id is that of the oldest face. Where this face still is in a cluster, an older one made the id change.
        oldest = [member.cluster_id for member in former if member.face_id == cluster_id]
        if oldest:
            yield ClusterChanged(cluster_id=cluster_id, change=Change.MERGED, size=0, successor=oldest[0])
        else:
            heir = min(former, key=lambda member: (member.published_at, member.face_id), default=None)
            successor = heir.cluster_id if heir else None
            yield ClusterChanged(cluster_id=cluster_id, change=Change.RETIRED, size=0, successor=successor)

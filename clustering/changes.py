"""What a batch changed, as events: assignments, faces that were removed, changes of clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clustering.cluster_changes import Moves, Place
from clustering.columns.arrays import Names, Slots
from clustering.graph import Graph
from clustering.labelling import Labels
from clustering.nodes import Nodes
from clustering.published_clusters import PublishedClusters
from schemas.clusters import ClusterChanged, FaceAssigned, Role, Suggestion

Roles = npt.NDArray[np.uint8]

# By the numbers of the roles; 0, unpublished, stands for no role.
_ROLES = (Role.NOISE, Role.CORE, Role.BORDER, Role.NOISE)
_UNPUBLISHED, _CORE, _BORDER, _NOISE = range(4)


@dataclass(frozen=True)
class Delta:
    """What a batch changed, relative to the state before it, and nothing else.

    changes are ordered by cluster id, those of clusters that existed before ahead of created ones. assignments, and
    removed, the ids of faces that have none any more, are ordered by face id. former: where the faces of both were
    before, by face id, without those that had no assignment.
    """

    changes: tuple[ClusterChanged, ...] = ()
    assignments: tuple[FaceAssigned, ...] = ()
    removed: tuple[str, ...] = ()
    former: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)


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
    former = _former_places(table, live, removed)
    assignments = sorted(assignments_of(graph, live, cluster_ids, roles), key=lambda assignment: assignment.face_id)
    # A face that was analysed again loses a node and gets another: it is assigned, not removed.
    assigned = {assignment.face_id for assignment in assignments}
    removed_faces = sorted(set(table.face_id[removed].tolist()) - assigned)
    moves = _moves(table, live, cluster_ids, roles, former)
    changes = moves.changes(
        clusters.sizes_before(), clusters.sizes_after(), lambda cluster_id: _keeps_core(graph, clusters, cluster_id)
    )
    delta = Delta(tuple(changes), tuple(assignments), tuple(removed_faces), former)
    mark_published(table, live, cluster_ids, roles)
    table.published_role[removed], table.published_cluster[removed] = _UNPUBLISHED, None
    table.published_labels[removed] = None
    return delta


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


def _former_places(table: Nodes, live: Slots, removed: Slots) -> dict[str, Place]:
    """The last published places of the faces of these nodes, by face id.

    A face that was analysed again is the same face: its place is that of its removed node.
    """
    nodes = np.concatenate([live, removed])
    nodes = nodes[table.published_role[nodes] != _UNPUBLISHED]
    columns = table.face_id[nodes], table.published_cluster[nodes], table.published_role[nodes]
    # Most faces share their places with others.
    known: dict[tuple[str | None, int], Place] = {}
    former: dict[str, Place] = {}
    for face_id, cluster_id, role in zip(*(column.tolist() for column in columns), strict=True):
        key = (cluster_id, role)
        if key not in known:
            known[key] = Place(cluster_id, _ROLES[role])
        former[face_id] = known[key]
    return former


def _moves(table: Nodes, live: Slots, cluster_ids: Names, roles: Roles, former: Mapping[str, Place]) -> Moves:
    """The moves of these nodes' faces from their former places to the present ones."""
    moves = Moves()
    columns = table.face_id[live], table.published_at[live], cluster_ids, roles
    for face_id, published_at, cluster_id, role in zip(*(column.tolist() for column in columns), strict=True):
        moves.add(face_id, published_at, former.get(face_id), Place(cluster_id, _ROLES[role]))
    return moves


def _keeps_core(graph: Graph, clusters: PublishedClusters, cluster_id: str) -> bool:
    """Whether a cluster has a core that was published as core of the cluster of the same id."""
    nodes = graph.nodes
    # The id is that of a member.
    named_after = np.fromiter(graph.node_index.live([cluster_id]).values(), np.int64)
    members = clusters.members(int(clusters.keys_of(named_after)[0]))
    cores = members[nodes.core[members] & (nodes.published_role[members] == _CORE)]
    return bool((nodes.published_cluster[cores] == cluster_id).any())

"""What a batch comes to, told as events: the assignments that changed, the faces that are gone, the log of clusters."""

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
_UNSAID, _CORE, _BORDER, _NOISE = range(4)


@dataclass(frozen=True)
class Delta:
    """What a batch changed, relative to the state before it, and nothing else.

    changes are ordered by cluster id, with what became of old clusters before what is new; assignments and gone (face
    ids to tombstone) by face id.
    """

    changes: tuple[ClusterChanged, ...] = ()
    assignments: tuple[FaceAssigned, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Former:
    """A face that was in some cluster before the batch, and is in a cluster now."""

    face_id: str
    published: int
    stayed_core: bool
    cluster_id: str


def tell(graph: Graph, grouping: PublishedClusters, nodes: Slots, died: Slots) -> Delta:
    """Compare what is with what was last said of these nodes, and note that it is said now."""
    table = graph.nodes
    live = nodes[table.live[nodes]]
    clusters = grouping.names_of(live)
    roles = roles_of(table, live)
    changed = (roles != table.said_role[live]) | (clusters != table.said_cluster[live])
    changed |= table.labels[live] != table.said_labels[live]
    live, clusters, roles = live[changed], clusters[changed], roles[changed]
    died = died[table.said_role[died] != _UNSAID]
    former = _former(table, live, clusters, roles, died)
    assignments = sorted(assigned(graph, live, clusters, roles), key=lambda it: it.face_id)
    gone = sorted(set(table.face_id[died].tolist()) - {it.face_id for it in assignments})
    note_said(table, live, clusters, roles)
    table.said_role[died], table.said_cluster[died] = _UNSAID, None
    table.labels[died] = table.said_labels[died] = None
    return Delta(tuple(_log(grouping, former)), tuple(assignments), tuple(gone))


def note_said(table: Nodes, live: Slots, clusters: Names, roles: Roles) -> None:
    """From now on this, and the labels there are, is what was last said of these nodes."""
    table.said_role[live], table.said_cluster[live], table.said_labels[live] = roles, clusters, table.labels[live]


def roles_of(table: Nodes, live: Slots) -> Roles:
    """The role of each live node, as a number."""
    inside = (table.cluster[live] >= 0) | (table.part[live] >= 0)
    return np.where(table.core[live], _CORE, np.where(inside, _BORDER, _NOISE)).astype(np.uint8)


def assigned(graph: Graph, live: Slots, clusters: Names, roles: Roles) -> Iterator[FaceAssigned]:
    """The assignments of live nodes, in their order."""
    table = graph.nodes
    columns = (
        table.face_id[live].tolist(),
        graph.scans.scan_id[table.scan[live]].tolist(),
        table.analysis[live].tolist(),
        clusters.tolist(),
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


def _former(table: Nodes, live: Slots, clusters: Names, roles: Roles, died: Slots) -> dict[str, list[_Former]]:
    """By former cluster, the faces that were in it and whose assignment changed, but are in a cluster still.

    A face that was analysed anew is the same face.
    """
    died_said = zip(table.said_role[died].tolist(), table.said_cluster[died].tolist(), strict=True)
    said_of_died = dict(zip(table.face_id[died].tolist(), died_said, strict=True))
    former: dict[str, list[_Former]] = defaultdict(list)
    columns = (
        table.face_id[live].tolist(),
        table.published[live].tolist(),
        table.said_role[live].tolist(),
        table.said_cluster[live].tolist(),
        clusters.tolist(),
        roles.tolist(),
    )
    for face_id, published, said_role, said_cluster, cluster_id, role in zip(*columns, strict=True):
        if said_role == _UNSAID:
            said_role, said_cluster = said_of_died.get(face_id, (_UNSAID, None))
        if said_cluster is not None and cluster_id is not None:
            former[said_cluster].append(_Former(face_id, published, said_role == role == _CORE, cluster_id))
    return former


def _log(grouping: PublishedClusters, former: dict[str, list[_Former]]) -> Iterator[ClusterChanged]:
    before, after = grouping.before(), grouping.after()
    for name in sorted(before):
        yield from _fate(name, before[name], after.get(name, 0), former.get(name, []))
    for name in sorted(after.keys() - before.keys()):
        yield ClusterChanged(cluster_id=name, change=Change.CREATED, size=after[name])


def _fate(name: str, before: int, after: int, former: list[_Former]) -> Iterator[ClusterChanged]:
    """What became of a cluster: of its id, and of its core faces."""
    parts = {it.cluster_id for it in former if it.stayed_core} | ({name} if after else set())
    if len(parts) > 1:
        yield ClusterChanged(cluster_id=name, change=Change.SPLIT, size=after, parts=tuple(sorted(parts)))
    elif after > before:
        yield ClusterChanged(cluster_id=name, change=Change.GROWN, size=after)
    elif 0 < after < before:
        yield ClusterChanged(cluster_id=name, change=Change.SHRUNK, size=after)
    if not after:
        oldest_there = [it.cluster_id for it in former if it.face_id == name]
        if oldest_there:
            yield ClusterChanged(cluster_id=name, change=Change.MERGED, size=0, successor=oldest_there[0])
        else:
            left = min(former, key=lambda it: (it.published, it.face_id), default=None)
            successor = left.cluster_id if left else None
            yield ClusterChanged(cluster_id=name, change=Change.RETIRED, size=0, successor=successor)

"""The clustering at another eps, from the edges that the graph holds anyway. Nothing is searched or changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering import constrained_linkage
from clustering.clustering import Clustering
from clustering.columns.arrays import Mask, Slots, least
from clustering.constrained_linkage import Group
from clustering.graph import Graph

_NOISE = -1


@dataclass(frozen=True)
class HypotheticalClusters:
    """All live faces at one eps. The three columns have one length; cluster_ids holds None for noise."""

    eps: float
    min_samples: int
    face_ids: tuple[str, ...]
    cluster_ids: tuple[str | None, ...]
    core: Mask

    def sizes(self) -> dict[str, int]:
        """The number of faces of every cluster, by cluster id. Noise is in none."""
        return dict(Counter(cluster_id for cluster_id in self.cluster_ids if cluster_id is not None))

    def members(self) -> dict[str, list[str]]:
        """The face ids of every cluster, by cluster id. Noise is in none."""
        members: dict[str, list[str]] = {}
        for face_id, cluster_id in zip(self.face_ids, self.cluster_ids, strict=True):
            if cluster_id is not None:
                members.setdefault(cluster_id, []).append(face_id)
        return members


def hypothetical_clusters(clustering: Clustering, eps: float, min_samples: int | None = None) -> HypotheticalClusters:
    """What `clustering` would say at this eps (and min_samples, else its own), with all else as it is: decisions too.

    Cost: one pass over all edges, a few seconds at a million faces. Raises ValueError when eps is larger than the
    eps_max up to which neighbours were searched.
    """
    graph = clustering.graph
    if eps > graph.eps_max:
        raise ValueError(f"eps {eps} is larger than eps_max {graph.eps_max}: edges beyond eps_max are not kept")
    if min_samples is None:
        min_samples = clustering.parameters.min_samples
    nodes = graph.nodes
    live = np.flatnonzero(nodes.live[: nodes.used])
    one, other, edges = _links(graph, live, eps)
    core = nodes.may_be_core[live] & (_neighbours(one, other, len(live)) + 1 >= min_samples)
    both = core[one] & core[other]
    between = coo_array((np.ones(int(both.sum()), dtype=np.int8), (one[both], other[both])), (len(live),) * 2)
    labels = connected_components(between, directed=False)[1].astype(np.int64)
    labels[~core] = _NOISE

    left, right = core[other] & ~core[one], core[one] & ~core[other]  # the end that is not core
    borders = np.concatenate([one[left], other[right]])
    anchors = np.concatenate([other[left], one[right]])
    distances = graph.edges.distance[np.concatenate([edges[left], edges[right]])]
    nearest = least(borders, distances, nodes.face_id[live[anchors]])
    labels[borders[nearest]] = labels[anchors[nearest]]
    labels = _as_decided(clustering, live, core, labels, (one, other, graph.edges.distance[edges]))

    placed = np.flatnonzero(labels != _NOISE)
    oldest = least(labels[placed], nodes.published[live[placed]], nodes.face_id[live[placed]])
    name_of = np.full(len(live) + 1, None, dtype=np.object_)  # the last one is noise's
    name_of[labels[placed[oldest]]] = nodes.face_id[live[placed[oldest]]]
    return HypotheticalClusters(eps, min_samples, tuple(nodes.face_id[live]), tuple(name_of[labels]), core)


def _as_decided(
    clustering: Clustering,
    live: Slots,
    core: Mask,
    labels: Slots,
    links: tuple[Slots, Slots, npt.NDArray[np.float64]],
) -> Slots:
    """The labels with what links and separations make of them (see `clustering.published_clusters`)."""
    decided, nodes = clustering.live_decisions, clustering.graph.nodes
    ends = decided.ends()
    place = np.full(nodes.used, _NOISE, dtype=np.int64)
    place[live] = np.arange(len(live))
    linked, separated = place[decided.linked(ends)], place[decided.separated(ends)]
    unit = np.where(labels == _NOISE, len(live) + np.arange(len(live)), labels)
    group = constrained_linkage.groups(2 * len(live), unit[linked])[unit]
    joined = linked[unit[linked[:, 0]] != unit[linked[:, 1]]]
    separated = separated[group[separated[:, 0]] == group[separated[:, 1]]]
    members = np.flatnonzero(np.isin(group, group[np.concatenate([joined, separated])]))
    if not len(members):
        return labels
    place = np.full(len(live), _NOISE, dtype=np.int64)
    place[members] = np.arange(len(members))
    one, other, distances = links
    inside = (place[one] >= 0) & (group[one] == group[other])
    parts = constrained_linkage.divide(
        Group(
            face_ids=nodes.face_id[live[members]],
            core=core[members],
            one=place[one[inside]],
            other=place[other[inside]],
            distances=distances[inside],
            linked=place[linked],
            separated=place[separated],
        )
    )
    labels[members] = len(live) + parts
    placed = labels != _NOISE
    labels[placed] = np.unique(labels[placed], return_inverse=True)[1]
    return labels


def _links(graph: Graph, live: Slots, eps: float) -> tuple[Slots, Slots, Slots]:
    """The edges between live nodes up to eps, and their ends as positions in `live`."""
    nodes, edges = graph.nodes, graph.edges
    held = np.flatnonzero((edges.source[: edges.used] >= 0) & (edges.distance[: edges.used] <= eps))
    source, target = edges.source[held], edges.target[held]
    counts = nodes.live[source] & nodes.live[target]
    same_scan_eps = graph.parameters.same_scan_eps
    if same_scan_eps is not None:
        counts &= (nodes.scan[source] != nodes.scan[target]) | (edges.distance[held] <= same_scan_eps)
    place = np.full(nodes.used, _NOISE, dtype=np.int64)
    place[live] = np.arange(len(live))
    return place[source[counts]], place[target[counts]], held[counts]


def _neighbours(one: Slots, other: Slots, count: int) -> Slots:
    """How many different neighbours each of `count` nodes has; a pair may have several edges."""
    pairs = np.unique(np.minimum(one, other) * count + np.maximum(one, other))
    return np.bincount(pairs // count, minlength=count) + np.bincount(pairs % count, minlength=count)

"""The clustering at another eps, from the edges that the graph holds anyway. Nothing is searched or changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering import shared_neighbours
from clustering.clustering import Clustering
from clustering.columns.arrays import Mask, Slots, least
from clustering.constrained_linkage import ConstrainedFaces, constrained_linkage, must_link_groups
from clustering.graph import Graph

_NOISE = -1


@dataclass(frozen=True)
class HypotheticalClusters:
    """All live faces at one eps. face_ids, cluster_ids and core have one length; cluster_ids holds None for noise."""

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


@dataclass(frozen=True)
class _Pairs:
    """Edges between live nodes. one, other: their ends, as positions among the live nodes; shape (m,), as distances."""

    one: Slots
    other: Slots
    distances: npt.NDArray[np.float64]


def hypothetical_clusters(
    clustering: Clustering, eps: float, min_samples: int | None = None, *, constrained: bool = True
) -> HypotheticalClusters:
    """The clusters of `clustering` at this eps (and min_samples), with all else as it is, decisions included.

    Without `constrained`, must-links and cannot-links make no difference: the clusters are those of the rule alone.
    Cost: one pass over all edges, a few seconds at a million faces. Raises ValueError when eps is larger than the
    eps_max up to which neighbours were searched.
    """
    graph = clustering.graph
    if eps > graph.records.eps_max:
        raise ValueError(f"eps {eps} is larger than eps_max {graph.records.eps_max}: edges beyond eps_max are not kept")
    if graph.parameters.reach is not None and eps > graph.parameters.reach:
        raise ValueError(f"eps {eps} is larger than reach {graph.parameters.reach}: shared neighbours are not known")
    if min_samples is None:
        min_samples = clustering.parameters.min_samples
    nodes = graph.nodes
    live = np.flatnonzero(nodes.live[: nodes.used])
    pairs = _neighbours(graph, live, eps)
    core = nodes.may_be_core[live] & (_neighbour_counts(pairs, len(live)) + 1 >= min_samples)
    cluster_of = _dbscan(graph, live, core, pairs)
    if constrained:
        cluster_of = _constrained(clustering, live, core, cluster_of, pairs)

    in_cluster = np.flatnonzero(cluster_of != _NOISE)
    slots = live[in_cluster]
    oldest = least(cluster_of[in_cluster], nodes.published_at[slots], nodes.face_id[slots])
    cluster_id = np.full(len(live) + 1, None, dtype=np.object_)  # the last one is that of _NOISE
    cluster_id[cluster_of[in_cluster[oldest]]] = nodes.face_id[slots[oldest]]
    return HypotheticalClusters(eps, min_samples, tuple(nodes.face_id[live]), tuple(cluster_id[cluster_of]), core)


def _neighbours(graph: Graph, live: Slots, eps: float) -> _Pairs:
    """The edges between live nodes up to eps. A pair may have several."""
    nodes, edges = graph.nodes, graph.edges
    near = np.flatnonzero((edges.source[: edges.used] >= 0) & (edges.distance[: edges.used] <= eps))
    if graph.parameters.shares_neighbours:
        near = near[shared_neighbours.active(graph, near, eps)]
    source, target = edges.source[near], edges.target[near]
    valid = nodes.live[source] & nodes.live[target]
    same_scan_eps = graph.parameters.same_scan_eps
    if same_scan_eps is not None:
        valid &= (nodes.scan[source] != nodes.scan[target]) | (edges.distance[near] <= same_scan_eps)
    position = np.full(nodes.used, -1, dtype=np.int64)
    position[live] = np.arange(len(live))
    return _Pairs(position[source[valid]], position[target[valid]], edges.distance[near[valid]])


def _neighbour_counts(pairs: _Pairs, count: int) -> Slots:
    """How many distinct neighbours each of `count` live nodes has: shape (count,)."""
    keys = np.unique(np.minimum(pairs.one, pairs.other) * count + np.maximum(pairs.one, pairs.other))
    return np.bincount(keys // count, minlength=count) + np.bincount(keys % count, minlength=count)


def _dbscan(graph: Graph, live: Slots, core: Mask, pairs: _Pairs) -> Slots:
    """The number of each live node's cluster, or _NOISE: shape (n,)."""
    one, other = pairs.one, pairs.other
    both_core = core[one] & core[other]
    values = np.ones(int(both_core.sum()), dtype=np.int8)
    between_cores = coo_array((values, (one[both_core], other[both_core])), (len(live),) * 2)
    cluster_of = connected_components(between_cores, directed=False)[1].astype(np.int64)
    cluster_of[~core] = _NOISE

    one_is_border, other_is_border = core[other] & ~core[one], core[one] & ~core[other]
    borders = np.concatenate([one[one_is_border], other[other_is_border]])
    cores = np.concatenate([other[one_is_border], one[other_is_border]])
    distances = np.concatenate([pairs.distances[one_is_border], pairs.distances[other_is_border]])
    nearest = least(borders, distances, graph.nodes.face_id[live[cores]])
    cluster_of[borders[nearest]] = cluster_of[cores[nearest]]
    return cluster_of


def _constrained(clustering: Clustering, live: Slots, core: Mask, cluster_of: Slots, pairs: _Pairs) -> Slots:
    """`cluster_of` under must-links and cannot-links (see `clustering.published_clusters`), numbered from 0 again."""
    decisions, nodes = clustering.live_decisions, clustering.graph.nodes
    constrained_nodes = decisions.constrained_nodes()
    position = np.full(nodes.used, -1, dtype=np.int64)
    position[live] = np.arange(len(live))
    must_links = position[decisions.must_links(constrained_nodes)]
    cannot_links = position[decisions.cannot_links(constrained_nodes)]
    # Groups consist of clusters and of single nodes of noise, which get numbers beyond those of the clusters.
    content = np.where(cluster_of == _NOISE, len(live) + np.arange(len(live)), cluster_of)
    group = must_link_groups(2 * len(live), content[must_links])[content]
    # Only must-links between clusters, and cannot-links within a group, make a difference.
    joining = must_links[content[must_links[:, 0]] != content[must_links[:, 1]]]
    cannot_links = cannot_links[group[cannot_links[:, 0]] == group[cannot_links[:, 1]]]
    members = np.flatnonzero(np.isin(group, group[np.concatenate([joining, cannot_links])]))
    if not len(members):
        return cluster_of
    position = np.full(len(live), -1, dtype=np.int64)
    position[members] = np.arange(len(members))
    must_links = must_links[position[must_links[:, 0]] >= 0]
    inside = (position[pairs.one] >= 0) & (group[pairs.one] == group[pairs.other])
    linkage = constrained_linkage(
        ConstrainedFaces(
            face_ids=nodes.face_id[live[members]],
            core=core[members],
            one=position[pairs.one[inside]],
            other=position[pairs.other[inside]],
            distances=pairs.distances[inside],
            must_links=position[must_links],
            cannot_links=position[cannot_links],
        )
    )
    cluster_of[members] = len(live) + linkage
    in_cluster = cluster_of != _NOISE
    cluster_of[in_cluster] = np.unique(cluster_of[in_cluster], return_inverse=True)[1]
    return cluster_of

"""Evidence from shared neighbours: a pair that is only just near enough has to have neighbours in common.

Single linkage joins two people by one accidental pair. Faces of one person share their neighbours; an accidental pair
does not (Jarvis and Patrick 1973; Ertöz, Steinbach and Kumar 2003; as structural similarity in graphs, Xu et al.
2007). So with `shared_weight` w two faces x and y at a distance d are neighbours where

    d <= eps - w (1 - s),    s = min(1, (c + n(x, y)) / min(N(x), N(y))).

n(x, z) = reach - d(x, z) is the nearness of a neighbour z within `reach`, N(x) the sum of it over all neighbours of x,
and c the sum of sqrt(n(x, z) n(y, z)) over those that x and y share: near neighbours count for more than far ones. Of
two faces that each know only the other one s is 1. With `most_neighbours` k a face counts as a neighbour of x only
where it is among the k nearest of x and x is among its own k nearest, by distance, then face id. So no face has more
than k neighbours, and the rule remains a function of the pairs within reach, of their set only: whichever came first.
The sums are of integers, so that they do not depend on the order either.

Whether a pair is active can change only where the neighbours of one of its ends change: where a pair within reach came
or went, or, beyond k, where it displaced another one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from clustering.columns.arrays import Mask, Names, Slots, first_of_each, unique
from clustering.graph import Graph

# Pairs whose neighbours are compared at a time: of at most some dozen each, a few tens of MB.
_PAIRS_AT_ONCE = 2**16

# The square root of a nearness of 1, as an integer: sums of products of a million of them are exact in 64 bits.
_ROOT_OF_ONE = 2.0**16


def update(graph: Graph, near: Slots, within_reach: Mask, deleted: Slots, sources: Slots) -> tuple[Slots, Mask]:
    """Bring the neighbours within reach up to date after a batch.

    near: the edges within reach of the nodes that the batch touched, each once. within_reach: which of them represents
    a pair of live nodes now. deleted, sources: the edges that the batch deleted, and their sources. Returns the edges
    that may be active or were, of all nodes whose neighbours may have changed, with `near`, and which are to be active.

    Owns the edges' columns within_reach, kept_by_source and kept_by_target.
    """
    edges = graph.edges
    changed = near[edges.within_reach[near] != within_reach]
    were = edges.within_reach[deleted]
    touched = unique(*graph.ends(changed), sources[were], edges.target[deleted[were]].astype(np.int64))
    edges.within_reach[deleted] = False
    edges.within_reach[near] = within_reach
    touched = unique(touched, _keep_nearest(graph, touched))
    _, found = graph.edges_of.read(touched)
    found = found[(edges.source[found] >= 0) & (edges.distance[found] <= graph.parameters.reach_or_eps)]
    near = unique(near, found[_kept(graph, found) | edges.active[found]])
    return near, active(graph, near, graph.parameters.eps)


def active(graph: Graph, edges: Slots, eps: float) -> Mask:
    """Which of these edges are near enough at this eps, with the neighbours that their ends share. `eps` <= reach."""
    table, weight = graph.edges, graph.parameters.shared_weight
    distances = table.distance[edges]
    near = _kept(graph, edges) & (distances <= eps)
    open_ = np.flatnonzero(near & (distances > eps - weight))
    near[open_] = distances[open_] <= eps - weight * (1.0 - _shares(graph, edges[open_]))
    return near


def nearest_of_each(owners: Slots, distances: npt.NDArray[np.float64], names: Names, most: int) -> Mask:
    """Which entries are among the `most` least of their owner, by (distance, name). All arrays have shape (n,).

    The entries of an owner follow one another, as they are read from lists.
    """
    nearest = np.ones(len(owners), dtype=np.bool_)
    begins = np.flatnonzero(first_of_each(owners))
    counts = np.diff(begins, append=len(owners))
    crowded = np.flatnonzero(np.repeat(counts > most, counts))
    if not len(crowded):
        return nearest
    sizes = counts[counts > most]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((distances[crowded], owner))
    entries, ordered = crowded[order], distances[crowded[order]]
    last = ordered[np.cumsum(sizes) - sizes + most - 1][owner]
    nearest[entries[ordered > last]] = False
    # Names are compared only where some of several equally distant ones are left over.
    places = most - np.bincount(owner[ordered < last], minlength=len(sizes))
    tied = np.bincount(owner[ordered == last], minlength=len(sizes)) > places
    open_ = np.flatnonzero((ordered == last) & tied[owner])
    if len(open_):
        open_ = open_[np.lexsort((np.unique(names[entries[open_]].astype(str), return_inverse=True)[1], owner[open_]))]
        place = np.arange(len(open_)) - np.searchsorted(owner[open_], owner[open_], side="left")
        nearest[entries[open_[place >= places[owner[open_]]]]] = False
    return nearest


def _kept(graph: Graph, edges: Slots) -> Mask:
    """Which edges represent a pair within reach and are among the nearest of both ends."""
    table = graph.edges
    return np.asarray(table.within_reach[edges] & table.kept_by_source[edges] & table.kept_by_target[edges])


def _keep_nearest(graph: Graph, nodes: Slots) -> Slots:
    """Choose the nearest neighbours of these nodes again. Returns the nodes whose neighbours change by that."""
    edges = graph.edges
    owners, found = graph.edges_of.read(nodes)
    within = edges.within_reach[found]
    owners, found = owners[within], found[within]
    before = _kept(graph, found)
    kept = np.ones(len(found), dtype=np.bool_)
    most = graph.parameters.most_neighbours
    if most is not None:
        others = graph.other_end(found, owners)
        kept = nearest_of_each(owners, edges.distance[found], graph.nodes.face_id[others], most)
    is_source = edges.source[found] == owners
    edges.kept_by_source[found[is_source]] = kept[is_source]
    edges.kept_by_target[found[~is_source]] = kept[~is_source]
    return np.concatenate(graph.ends(found[_kept(graph, found) != before]))


def _shares(graph: Graph, edges: Slots) -> npt.NDArray[np.float64]:
    """The `s` of each of these edges: float64, shape (n,). Cost: the neighbours of their ends."""
    shares = np.empty(len(edges), dtype=np.float64)
    if not len(edges):
        return shares
    ends = graph.ends(edges)
    nodes = unique(*ends)
    owners, found = graph.edges_of.read(nodes)
    kept = _kept(graph, found)
    owners, found = owners[kept], found[kept]
    roots = _roots_of_nearness(graph, found)
    # Row by row, as `read` returns them; each node has a neighbour, the other end of its edge.
    starts = np.append(np.flatnonzero(first_of_each(owners)), len(owners))
    sums = np.add.reduceat(roots**2, starts[:-1])
    # Rows in order are multiplied much faster.
    columns = graph.other_end(found, owners)
    neighbours = csr_array((roots, columns, starts), shape=(len(nodes), int(columns.max()) + 1))
    neighbours.sort_indices()
    one, other = (np.searchsorted(nodes, end) for end in ends)
    both = _roots_of_nearness(graph, edges) ** 2
    for start in range(0, len(edges), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        common = neighbours[one[block]].multiply(neighbours[other[block]]).sum(axis=1)
        shares[block] = (common + both[block]) / np.minimum(sums[one[block]], sums[other[block]])
    return np.minimum(shares, 1.0)


def _roots_of_nearness(graph: Graph, edges: Slots) -> npt.NDArray[np.int64]:
    """The square root of the nearness of these edges, which are within reach, at least 1: int64, shape (n,)."""
    nearness = graph.parameters.reach_or_eps - graph.edges.distance[edges]
    return 1 + np.round(np.sqrt(nearness) * _ROOT_OF_ONE).astype(np.int64)

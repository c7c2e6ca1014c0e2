"""Evidence from shared neighbours: a pair that is only just near enough has to have neighbours in common.

Single linkage joins two people by one accidental pair. Faces of one person share their neighbours; an accidental pair
does not (Jarvis and Patrick 1973; Ertöz, Steinbach and Kumar 2003; as structural similarity in graphs, Xu et al.
2007). So with `shared_weight` w two faces x and y at a distance d are neighbours where

    d <= eps - w (1 - s),    s = min(1, (c + n(x, y)) / (0.9 min(N(x), N(y)) + 0.1 max(N(x), N(y)))).

n(x, z) = reach - d(x, z) is the nearness of a face z within `reach`, N(x) the sum of it over the `most_neighbours`
nearest faces z of x (by distance, then face id), and c the sum of sqrt(n(x, z) n(y, z)) over those that are among the
nearest of x and of y: near ones count for more than far ones. The mean of the sums leans to the larger one by a tenth,
so that a face with few others around it does not easily join a large group. Of two faces that each know only the other
one s is 1. x and y can be neighbours only where each is among the nearest of the other. So no face has more than
`most_neighbours` neighbours, hubs included, and the rule is a function of the pairs within reach, of their set only:
whichever came first. The sums are of integers, so that they do not depend on the order either.

Whether a pair is active can change only where the nearest faces of one of its ends change: where a pair within reach of
that end came or went.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Names, Slots, first_of_each, unique
from clustering.columns.rows import inner_products, sparse_rows
from clustering.graph import Graph

# How much each of two sums of nearness counts.
_SMALLER, _LARGER = 0.9, 0.1

# A distance as an integer: with the number of its owner, up to 2^23, it makes one of 63 bits.
_DISTANCE_BITS = 40

# The square root of a nearness of 1, as an integer: sums of products of a million of them are exact in 64 bits.
_ROOT_OF_ONE = 2.0**16


def update(graph: Graph, near: Slots, within_reach: Mask, deleted: Slots, sources: Slots) -> tuple[Slots, Mask]:
    """Bring the nearest faces of each face up to date after a batch.

    near: the edges within reach of the nodes that the batch touched, each once. within_reach: which of them represents
    a pair of live nodes now. deleted, sources: the edges that the batch deleted, and their sources. Returns the edges
    that may be active or were, of all nodes whose nearest may have changed, with `near`, and which are to be active.

    Owns the edges' columns within_reach, kept_by_source and kept_by_target, and the nodes' farthest_kept.
    """
    edges = graph.edges
    came = near[within_reach & ~edges.within_reach[near]]
    went = near[edges.within_reach[near] & ~within_reach]
    were = edges.within_reach[deleted]
    gone = np.concatenate([went, deleted[were]])
    gone_from = np.concatenate([graph.ends(went)[0], sources[were]])
    gone_to = edges.target[gone].astype(np.int64)
    lost = unique(gone_from[edges.kept_by_source[gone]], gone_to[edges.kept_by_target[gone]])
    edges.within_reach[deleted] = False
    edges.within_reach[near] = within_reach
    edges.kept_by_source[came] = edges.kept_by_target[came] = False
    # Where a face has the same nearest as before, its pairs share as much, unless the other face has others.
    nearer = (end[edges.distance[came] <= graph.nodes.farthest_kept[end]] for end in graph.ends(came))
    nodes = unique(lost, *nearer)
    owners, found = _within_reach(graph, nodes)
    with graph.nodes.marks() as marks:
        marks.put(lost, 0)
        # A face that has lost none of its nearest does not get one that is farther away than these.
        possible = (edges.distance[found] <= graph.nodes.farthest_kept[owners]) | (marks[owners] >= 0)
    owners, found = owners[possible], found[possible]
    altered = unique(lost, _keep_nearest(graph, nodes, owners, found))
    with graph.nodes.marks() as marks:
        marks.put(altered, 0)
        found = found[marks[owners] >= 0]
    near = unique(near, found[_kept_by_both(graph, found) | edges.active[found]])
    return near, active(graph, near, graph.parameters.eps)


def active(graph: Graph, edges: Slots, eps: float) -> Mask:
    """Which of these edges are near enough at this eps, with the neighbours that their ends share. `eps` <= reach."""
    table, weight = graph.edges, graph.parameters.shared_weight
    distances = table.distance[edges]
    near = _kept_by_both(graph, edges) & (distances <= eps)
    open_ = np.flatnonzero(near & (distances > eps - weight))
    near[open_] = distances[open_] <= eps - weight * (1.0 - _shares(graph, edges[open_]))
    return near


def nearest_of_each(owners: Slots, distances: npt.NDArray[np.float64], named: Slots, names: Names, most: int) -> Mask:
    """Which entries are among the `most` least of their owner, by (distance, name). Arrays have shape (n,), but names.

    The entries of an owner follow one another, as they are read from lists. Distances are not negative. named: where
    in `names` the name of each entry is.
    """
    nearest = np.ones(len(owners), dtype=np.bool_)
    begins = np.flatnonzero(first_of_each(owners))
    counts = np.diff(begins, append=len(owners))
    crowded = np.flatnonzero(np.repeat(counts > most, counts))
    if not len(crowded):
        return nearest
    sizes = counts[counts > most]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    # One integer for owner and rounded distance: integers are sorted ten times as fast as pairs of columns.
    # All distances may be 0.
    scale = (2**_DISTANCE_BITS - 1) / max(float(distances[crowded].max()), 1e-200)
    keys = (owner << _DISTANCE_BITS) + np.floor(distances[crowded] * scale).astype(np.int64)
    last = np.sort(keys)[np.cumsum(sizes) - sizes + most - 1][owner]
    nearest[crowded[keys > last]] = False
    # Exact distances and names are compared only where some of those that are rounded to the same are left over.
    places = most - np.bincount(owner[keys < last], minlength=len(sizes))
    tied = np.bincount(owner[keys == last], minlength=len(sizes)) > places
    open_ = np.flatnonzero((keys == last) & tied[owner])
    if len(open_):
        entries = crowded[open_]
        name_ranks = np.unique(names[named[entries]].astype(str), return_inverse=True)[1]
        order = np.lexsort((name_ranks, distances[entries], owner[open_]))
        entries, owner = entries[order], owner[open_][order]
        place = np.arange(len(entries)) - np.searchsorted(owner, owner, side="left")
        nearest[entries[place >= places[owner]]] = False
    return nearest


def _within_reach(graph: Graph, nodes: Slots) -> tuple[Slots, Slots]:
    """The edges of distinct nodes that represent a pair within reach: for each edge the node, and the edge."""
    owners, edges = graph.edges_of.read(nodes)
    within = graph.edges.within_reach[edges]
    return owners[within], edges[within]


def _kept_by_both(graph: Graph, edges: Slots) -> Mask:
    """Which edges represent a pair within reach, each end of which is among the nearest of the other."""
    table = graph.edges
    return np.asarray(table.within_reach[edges] & table.kept_by_source[edges] & table.kept_by_target[edges])


def _keep_nearest(graph: Graph, nodes: Slots, owners: Slots, edges: Slots) -> Slots:
    """Choose the nearest of these nodes again, of all their edges within reach. Returns the nodes that have others."""
    table, most = graph.edges, graph.parameters.most_neighbours
    kept = np.ones(len(edges), dtype=np.bool_)
    if most is not None:
        others = graph.other_end(edges, owners)
        kept = nearest_of_each(owners, table.distance[edges], others, graph.nodes.face_id, most)
        _note_farthest(graph, most, nodes, owners[kept], table.distance[edges[kept]])
    is_source = table.source[edges] == owners
    were_kept = np.where(is_source, table.kept_by_source[edges], table.kept_by_target[edges])
    table.kept_by_source[edges[is_source]] = kept[is_source]
    table.kept_by_target[edges[~is_source]] = kept[~is_source]
    return unique(owners[kept != were_kept])


def _note_farthest(graph: Graph, most: int, nodes: Slots, owners: Slots, distances: npt.NDArray[np.float64]) -> None:
    """Note of each of these nodes how far the farthest of its nearest is; given are all of these, node after node."""
    begins = np.flatnonzero(first_of_each(owners))
    full = np.diff(begins, append=len(owners)) == most
    graph.nodes.farthest_kept[nodes] = np.inf
    graph.nodes.farthest_kept[owners[begins[full]]] = np.maximum.reduceat(distances, begins)[full]


def _shares(graph: Graph, edges: Slots) -> npt.NDArray[np.float64]:
    """The `s` of each of these edges: float64, shape (n,). Cost: the edges within reach of their ends."""
    if not len(edges):
        return np.empty(0, dtype=np.float64)
    table, ends = graph.edges, graph.ends(edges)
    nodes = unique(*ends)
    owners, found = _within_reach(graph, nodes)
    kept = np.where(table.source[found] == owners, table.kept_by_source[found], table.kept_by_target[found])
    owners, found = owners[kept], found[kept]
    roots = _roots_of_nearness(graph, found)
    nearest = sparse_rows(nodes, owners, graph.other_end(found, owners), roots)
    # Each node has a near one, the other end of its edge, so no row is empty.
    sums = np.add.reduceat(roots**2, nearest.indptr[:-1])
    with graph.nodes.marks() as positions:
        positions.number(nodes)
        one, other = (positions[end].astype(np.int64) for end in ends)
    common = inner_products(nearest, one, other) + _roots_of_nearness(graph, edges) ** 2
    smaller, larger = np.sort([sums[one], sums[other]], axis=0)
    shares: npt.NDArray[np.float64] = common / (_SMALLER * smaller + _LARGER * larger)
    return np.minimum(shares, 1.0)


def _roots_of_nearness(graph: Graph, edges: Slots) -> npt.NDArray[np.int64]:
    """The square root of the nearness of these edges, which are within reach, at least 1: int64, shape (n,)."""
    nearness = graph.parameters.reach_or_eps - graph.edges.distance[edges]
    return 1 + np.round(np.sqrt(nearness) * _ROOT_OF_ONE).astype(np.int64)

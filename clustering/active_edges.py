"""Which edges are links between neighbours, decided anew for all pairs that a batch touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots, first_of_each, unique
from clustering.graph import Graph, Replaced


@dataclass(frozen=True)
class Links:
    """What a batch changed between neighbours.

    born, died: nodes that became live, or ceased to be. left, right: the two ends of each pair that is linked no
    longer. made: the edges of pairs that are linked now and were not; they are marked as linked only by `activate`, so
    that what fell apart can be looked at first. moved: the edges that now speak for pairs that are linked before and
    after, where another edge did before.
    """

    born: Slots
    died: Slots
    left: Slots
    right: Slots
    made: Slots
    moved: Slots

    def nodes(self, graph: Graph) -> Slots:
        """All nodes that are named here, or are at an end of an edge that is."""
        edges = np.concatenate([self.made, self.moved])
        ends = graph.edges.source[edges].astype(np.int64), graph.edges.target[edges].astype(np.int64)
        return unique(self.born, self.died, self.left, self.right, *ends)


def compare(graph: Graph, replaced: Replaced) -> Links:
    """Compare the links of the pairs that a batch touched with those from before it, and mark the links that ended."""
    edges = graph.edges
    near = _near_edges(graph, replaced.nodes)
    was = edges.linked[near]
    may = _may_link(graph, near)
    keys = _pairs(edges.source[near], edges.target[near])
    links = may.copy()
    links[may] = _shortest_of_each(keys[may], edges.distance[near[may]])

    dropped = replaced.dropped
    dropped_was = edges.linked[dropped]
    dropped_keys = _pairs(replaced.dropped_sources, edges.target[dropped])[dropped_was]
    keys_before = np.concatenate([keys[was], dropped_keys])

    ended = keys_before[~np.isin(keys_before, keys[links])]
    known = np.isin(keys[links], keys_before)
    after = near[links]
    moved = known & ~was[links]
    edges.linked[dropped] = False
    edges.linked[near] = False
    edges.linked[after[known]] = True
    return Links(replaced.born, replaced.died, ended >> 32, ended & 0xFFFFFFFF, after[~known], after[moved])


def activate(graph: Graph, links: Links) -> None:
    """Mark the new links."""
    graph.edges.linked[links.made] = True


def _near_edges(graph: Graph, nodes: Slots) -> Slots:
    """The edges of these nodes that are within eps."""
    _, edges = graph.edges_of.read(nodes)
    near = (graph.edges.distance[edges] <= graph.parameters.eps) & (graph.edges.source[edges] >= 0)
    return unique(edges[near])


def _pairs(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> Slots:
    """A number for each pair of nodes, whichever end is named first."""
    keys: Slots = np.minimum(one, other).astype(np.int64) << 32
    keys |= np.maximum(one, other)
    return keys


def _shortest_of_each(keys: Slots, distances: npt.NDArray[np.float64]) -> Mask:
    """Whether an edge is the shortest one of its pair; one edge only, also where two are equally short."""
    order = np.lexsort((distances, keys))
    first = np.empty(len(keys), dtype=np.bool_)
    first[order] = first_of_each(keys[order])
    return first


def _may_link(graph: Graph, near: Slots) -> Mask:
    """Whether both ends of an edge are live, and may be neighbours if they are of one scan."""
    nodes, edges = graph.nodes, graph.edges
    source, target = edges.source[near], edges.target[near]
    may: Mask = nodes.live[source] & nodes.live[target]
    same_scan_eps = graph.parameters.same_scan_eps
    if same_scan_eps is not None:
        may &= (nodes.scan[source] != nodes.scan[target]) | (edges.distance[near] <= same_scan_eps)
    return may

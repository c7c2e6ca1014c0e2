"""Which edges are active, that is, make two nodes neighbours: decided again for every pair that a batch touched.

Without evidence from shared neighbours, those within eps are; with it, shared_neighbours.py decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clustering import shared_neighbours
from clustering.columns.arrays import Mask, Slots, are_among, first_of_each, unique
from clustering.graph import Graph, GraphChanges


@dataclass(frozen=True)
class EdgeChanges:
    """What a batch changed between neighbours.

    added, removed: nodes that became live, or ceased to be.
    deactivated_left, deactivated_right: the two ends of each pair that were neighbours before and are not now.
    activated: the edges of pairs that are neighbours now and were not. `compare` does not mark them as active yet:
        deletion has to see the graph without them. `activate` does.
    replaced: the active edges of pairs that are neighbours before and after, where another edge represented the pair
        before.
    """

    added: Slots
    removed: Slots
    deactivated_left: Slots
    deactivated_right: Slots
    activated: Slots
    replaced: Slots

    def nodes(self, graph: Graph) -> Slots:
        """All nodes named here, and the ends of all edges named here: distinct, ascending."""
        ends = graph.ends(np.concatenate([self.activated, self.replaced]))
        return unique(self.added, self.removed, self.deactivated_left, self.deactivated_right, *ends)


def compare(graph: Graph, changes: GraphChanges) -> EdgeChanges:
    """Compare the active edges of the pairs that a batch touched with those before it, and deactivate those that ended.

    Owns, together with `activate`, the column `active` of the edges.
    """
    edges = graph.edges
    deleted = changes.deleted_edges
    near = _edges_within(graph, changes.nodes, graph.parameters.reach_or_eps)
    now_active = _represent_pairs(graph, near)
    if graph.parameters.shares_neighbours:
        near, now_active = shared_neighbours.update(graph, near, now_active, deleted, changes.deleted_sources)
    # Where one edge represents a pair before and after, nothing has changed.
    was_active = edges.active[near]
    left, come = near[was_active & ~now_active], near[now_active & ~was_active]
    deleted_active = edges.active[deleted]
    keys_left = np.concatenate(
        [
            _pair_keys(edges.source[left], edges.target[left]),
            _pair_keys(changes.deleted_sources[deleted_active], edges.target[deleted[deleted_active]]),
        ]
    )
    keys_come = _pair_keys(edges.source[come], edges.target[come])
    ended = keys_left[~are_among(keys_left, np.sort(keys_come))]
    known = are_among(keys_come, np.sort(keys_left))
    edges.active[deleted] = False
    edges.active[left] = False
    edges.active[come[known]] = True
    return EdgeChanges(
        added=changes.added,
        removed=changes.removed,
        deactivated_left=ended >> 32,
        deactivated_right=ended & 0xFFFFFFFF,
        activated=come[~known],
        replaced=come[known],
    )


def activate(graph: Graph, changes: EdgeChanges) -> None:
    """Mark the activated edges as active."""
    graph.edges.active[changes.activated] = True


def _edges_within(graph: Graph, nodes: Slots, distance: float) -> Slots:
    """The edges of these nodes that are not longer than this, each once."""
    _, edges = graph.edges_of.read(nodes)
    near = (graph.edges.distance[edges] <= distance) & (graph.edges.source[edges] >= 0)
    return unique(edges[near])


def _represent_pairs(graph: Graph, near: Slots) -> Mask:
    """Which of these edges represents a pair of live nodes: the shortest one of the pair."""
    edges = graph.edges
    represent = _may_be_active(graph, near)
    candidates = near[represent]
    keys = _pair_keys(edges.source[candidates], edges.target[candidates])
    represent[represent] = _shortest_of_each(keys, edges.distance[candidates])
    return represent


def _pair_keys(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> Slots:
    """One number for each pair of nodes, whichever end comes first: the smaller slot in the upper 32 bits."""
    keys: Slots = np.minimum(one, other).astype(np.int64) << 32
    keys |= np.maximum(one, other)
    return keys


def _shortest_of_each(keys: Slots, distances: npt.NDArray[np.float64]) -> Mask:
    """Whether an edge is the shortest one of its pair. Of several equally short ones exactly one is."""
    order = np.lexsort((distances, keys))
    shortest = np.empty(len(keys), dtype=np.bool_)
    shortest[order] = first_of_each(keys[order])
    return shortest


def _may_be_active(graph: Graph, near: Slots) -> Mask:
    """Whether both ends of an edge are live, and may be neighbours if they are of one scan."""
    nodes, edges = graph.nodes, graph.edges
    source, target = edges.source[near], edges.target[near]
    may: Mask = nodes.live[source] & nodes.live[target]
    same_scan_eps = graph.parameters.same_scan_eps
    if same_scan_eps is not None:
        may &= (nodes.scan[source] != nodes.scan[target]) | (edges.distance[near] <= same_scan_eps)
    return may

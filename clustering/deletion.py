"""What ends in a batch: the cases of a deletion in Ester et al. 1998, section 4, for all deleted faces at once.

- Removal: no core of a cluster is left. All its faces need another anchor, or are noise.
- Shrinking: the cores that were near the lost ones are still connected. Some borders lose their anchor.
- Potential split: whether these cores are still connected is not evident. A search finds out (split_search.py).

The cores that the paper calls update seeds are here those that lost a neighbouring core, or the edge to one.
"""

from __future__ import annotations

import numpy as np

from clustering.active_edges import EdgeChanges
from clustering.anchors import Anchors
from clustering.columns.arrays import NO_SLOTS, Slots, are_among, unique
from clustering.graph import Graph
from clustering.membership import Membership
from clustering.split_search import find_splits, have_common_core


class Deletion:
    """Follows the loss of nodes, cores and active edges. New edges are not active yet, new cores not marked."""

    def __init__(self, graph: Graph, membership: Membership, anchors: Anchors) -> None:
        """All of one clustering."""
        self._graph = graph
        self._membership = membership
        self._anchors = anchors

    def apply(self, changes: EdgeChanges, lost: Slots, touched: Slots) -> Slots:
        """Split clusters that fell apart, and detach borders. Returns the live nodes that need an anchor.

        `lost` are the nodes that ceased to be core, ascending, `touched` those whose neighbourhood changed.
        """
        removed = changes.removed
        self._membership.move(removed, np.full(len(removed), -1))
        components = find_splits(self._graph, self._membership.members, self._update_seeds(changes, lost))
        if components:
            self._split(components)
        return self._shrink_or_remove(changes, lost, touched)

    def _update_seeds(self, changes: EdgeChanges, lost: Slots) -> Slots:
        """Of clusters that lost cores, or edges between cores, the remaining cores at the other ends, by cluster.

        Every component that the cluster may have fallen into holds at least one of them. The ends of a lost edge that
        have a neighbouring core in common, as most have, are left out: they are in one component still. A cluster
        without any has not fallen apart, or has no core left.
        """
        nodes, left, right = self._graph.nodes, changes.deactivated_left, changes.deactivated_right
        if not len(left) + len(lost):
            return NO_SLOTS
        left_was_core = nodes.core[left] | are_among(left, lost)
        right_was_core = nodes.core[right] | are_among(right, lost)
        between_cores = left_was_core & right_was_core
        both_are = nodes.core[left] & nodes.core[right]
        between_cores[both_are] = ~have_common_core(self._graph, left[both_are], right[both_are])
        _, _, neighbours = self._graph.neighbours(lost)
        seeds = unique(left[between_cores], right[between_cores], neighbours)
        seeds = seeds[nodes.core[seeds]]
        return np.asarray(seeds[np.argsort(nodes.cluster[seeds], kind="stable")])

    def _split(self, components: list[Slots]) -> None:
        """Make each component, its cores and the borders anchored at them, a cluster; the rest stays where it is."""
        cores = np.concatenate(components)
        former = self._graph.nodes.cluster[cores].astype(np.int64)
        clusters = self._membership.create(len(components))
        self._membership.move(cores, np.repeat(clusters, [len(component) for component in components]))
        anchors, borders = self._anchors.borders_of(cores, former)
        self._membership.move(borders, self._graph.nodes.cluster[anchors].astype(np.int64))

    def _shrink_or_remove(self, changes: EdgeChanges, lost: Slots, touched: Slots) -> Slots:
        """Detach what depended on lost cores and edges: some borders of a cluster, or, in a removal, all its nodes.

        They leave their cluster when insertion has looked for other anchors, also among the cores of this batch.
        """
        return self._anchors.detach(lost, unique(touched, *self._graph.ends(changes.replaced)))

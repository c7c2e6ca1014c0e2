"""Incremental DBSCAN on the graph's active edges.

Ester, Kriegel, Sander, Wimmer, Xu: Incremental Clustering for Mining in a Data Warehousing Environment, VLDB 1998,
for whole batches: first deletion, of everything that ended (deletion.py), then insertion, of everything that began
(insertion.py). The paper's cases are named there.
"""

from __future__ import annotations

import numpy as np

from clustering import active_edges
from clustering.active_edges import EdgeChanges
from clustering.anchors import Anchors
from clustering.columns.arrays import Slots, unique
from clustering.deletion import Deletion
from clustering.graph import Graph
from clustering.insertion import Insertion
from clustering.membership import Membership


class Dbscan:
    """Keeps counts, cores, anchors and clusters up to date. Owns the nodes' columns count and core."""

    def __init__(self, graph: Graph, membership: Membership) -> None:
        """`membership` keeps the clusters. It and `graph` share one table of nodes."""
        self._graph = graph
        self._nodes = graph.nodes
        self._membership = membership
        self._anchors = Anchors(graph, membership)
        self._deletion = Deletion(graph, membership, self._anchors)
        self._insertion = Insertion(graph, membership, self._anchors)

    def update(self, changes: EdgeChanges) -> Slots:
        """Bring the clusters up to date, and activate the new edges. Returns the nodes whose role may have changed.

        In between, nodes that lost their core or anchor stay in their clusters: most find another anchor there.
        """
        touched = self._count(changes)
        lost, gained = self._core_changes(touched)

        self._nodes.core[lost] = False
        unanchored = self._deletion.apply(changes, lost, touched)

        active_edges.activate(self._graph, changes)
        self._nodes.core[gained] = True
        borders = self._insertion.apply(changes, gained, unanchored)
        return unique(changes.added, changes.removed, lost, gained, borders)

    def _count(self, changes: EdgeChanges) -> Slots:
        """Update the sizes of neighbourhoods. Returns the nodes whose neighbourhood changed, or that came or went."""
        count = self._nodes.count
        activated_ends = np.concatenate(self._graph.ends(changes.activated))
        count[changes.added] = 1
        np.add.at(count, np.concatenate([changes.deactivated_left, changes.deactivated_right]), -1)
        np.add.at(count, activated_ends, 1)
        count[changes.removed] = 0
        return unique(
            changes.added, changes.removed, changes.deactivated_left, changes.deactivated_right, activated_ends
        )

    def _core_changes(self, touched: Slots) -> tuple[Slots, Slots]:
        """Of these nodes, those that are core no longer, and those that are core now and were not."""
        nodes = self._nodes
        was_core = nodes.core[touched]
        enough = nodes.count[touched] >= self._graph.parameters.min_samples
        core = nodes.live[touched] & nodes.may_be_core[touched] & enough
        return touched[was_core & ~core], touched[core & ~was_core]

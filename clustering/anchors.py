"""Borders: each one is anchored at its nearest core, whose cluster it is in."""

from __future__ import annotations

import numpy as np

from clustering.active_edges import EdgeChanges
from clustering.columns.arrays import Mask, Slots, least, unique
from clustering.graph import Graph
from clustering.membership import Membership

_NO_ANCHOR = -1


class Anchors:
    """Owns the nodes' column `anchor`: the active edge from a border to its anchor, -1 for cores and noise."""

    def __init__(self, graph: Graph, membership: Membership) -> None:
        """`membership` is that of DBSCAN's clusters."""
        self._graph = graph
        self._nodes = graph.nodes
        self._membership = membership

    def clear(self, nodes: Slots) -> None:
        """Nodes that became core have no anchor."""
        self._nodes.anchor[nodes] = _NO_ANCHOR

    def borders_of(self, cores: Slots, clusters: Slots) -> tuple[Slots, Slots]:
        """The borders that are anchored at these cores, and each in its core's cluster: the core, and the border."""
        nodes = self._nodes
        owners, edges, others = self._graph.neighbours(cores)
        order = np.argsort(cores)
        of_core = clusters[order][np.searchsorted(cores[order], owners)]
        anchored = (nodes.anchor[others] == edges) & (nodes.cluster[others] == of_core) & ~nodes.core[others]
        return owners[anchored], others[anchored]

    def detach(self, lost: Slots, touched: Slots) -> Slots:
        """Clear anchors that are no longer core, or no longer neighbours.

        `lost` are the nodes that ceased to be core, `touched` those whose edges changed. Returns the live nodes that
        need an anchor, and have to look for it among all their neighbours: these borders, and `lost`.
        """
        nodes = self._nodes
        _, _, neighbours = self._graph.neighbours(lost)
        borders = unique(touched, neighbours)
        borders = borders[nodes.anchor[borders] != _NO_ANCHOR]
        detached = borders[~self._are_valid(borders)]
        nodes.anchor[detached] = _NO_ANCHOR
        unanchored = unique(lost, detached)
        return unanchored[nodes.live[unanchored]]

    def attach(self, unanchored: Slots, changes: EdgeChanges, gained: Slots) -> Slots:
        """Anchor borders at the nearest core, by distance, then face id, and move them into its cluster.

        Candidates are all neighbours of `unanchored` nodes; for other nodes only what is new, which is compared with
        the anchor they have: cores that they were not neighbours of, cores at another distance, and `gained`, nodes
        that became core. A node without any core among its neighbours is noise. Returns the nodes that were examined.
        """
        nodes = self._nodes
        borders, edges = self._candidates(unanchored, changes, gained)
        cores = self._graph.other_end(edges, borders)
        nearest = least(borders, self._graph.edges.distance[edges], nodes.face_id[cores])
        nodes.anchor[borders[nearest]] = edges[nearest]

        examined = unique(borders, unanchored, changes.added)
        examined = examined[~nodes.core[examined]]
        clusters = np.full(len(examined), -1, dtype=np.int64)
        anchored = nodes.anchor[examined] != _NO_ANCHOR
        edges = nodes.anchor[examined[anchored]].astype(np.int64)
        clusters[anchored] = nodes.cluster[self._graph.other_end(edges, examined[anchored])]
        self._membership.move(examined, clusters)
        return examined

    def _candidates(self, unanchored: Slots, changes: EdgeChanges, gained: Slots) -> tuple[Slots, Slots]:
        """Edges that may lead to an anchor: the border, and the edge. Present anchors of these borders included."""
        nodes = self._nodes
        unanchored_owners, unanchored_edges, _ = self._graph.neighbours(unanchored)
        _, gained_edges, gained_neighbours = self._graph.neighbours(gained)
        changed = np.concatenate([changes.activated, changes.replaced])
        borders = np.concatenate([unanchored_owners, gained_neighbours, *self._graph.ends(changed)])
        edges = np.concatenate([unanchored_edges, gained_edges, changed, changed])
        possible = ~nodes.core[borders] & nodes.core[self._graph.other_end(edges, borders)]
        borders, edges = borders[possible], edges[possible]
        distinct = unique(borders)
        anchored = distinct[nodes.anchor[distinct] != _NO_ANCHOR]
        return np.concatenate([borders, anchored]), np.concatenate([edges, nodes.anchor[anchored].astype(np.int64)])

    def _are_valid(self, borders: Slots) -> Mask:
        """Whether each border's anchor still is a core and its neighbour."""
        edges = self._nodes.anchor[borders].astype(np.int64)
        cores = self._graph.other_end(edges, borders)
        return np.asarray(self._graph.edges.active[edges] & self._nodes.core[cores])

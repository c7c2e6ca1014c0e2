"""What begins in a batch: the cases of an insertion in Ester et al. 1998, section 4, for all inserted faces at once.

- Noise: a face without a core in its neighbourhood.
- Creation: new cores near no cluster begin one.
- Absorption: new cores near one cluster, and borders near a core, join it.
- Merge: new cores, or new edges between cores, connect several clusters.

One insertion can create, absorb and merge in several places, and all of it can happen without a new core, which the
paper leaves out (see docs/clustering.md). So the cases are not distinguished beforehand: new cores, and the clusters
that they or new edges touch, are the vertices of a small graph, and each of its components is one case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering.active_edges import EdgeChanges
from clustering.anchors import Anchors
from clustering.columns.arrays import Mask, Slots
from clustering.graph import Graph
from clustering.membership import Membership


@dataclass(frozen=True)
class _Components:
    """What new cores and new edges connect.

    vertices: clusters, by row, and new cores, as `offset` + node; shape (n,), ascending. is_cluster: which they are.
    component: the number of each vertex's component. largest: for each component its largest cluster, or, where it
    has no cluster, one of its new cores; shape (c,).
    """

    offset: int
    vertices: Slots
    is_cluster: Mask
    component: Slots
    largest: Slots


class Insertion:
    """Follows new nodes, cores and active edges. All are marked already; new cores are in no cluster yet."""

    def __init__(self, graph: Graph, membership: Membership, anchors: Anchors) -> None:
        """All of one clustering."""
        self._graph = graph
        self._nodes = graph.nodes
        self._membership = membership
        self._anchors = anchors

    def apply(self, changes: EdgeChanges, gained: Slots, unanchored: Slots) -> Slots:
        """Create, extend and merge clusters, and anchor borders. Returns the nodes whose anchor was examined.

        `gained` are the nodes that became core, `unanchored` those that deletion left without an anchor.
        """
        self._anchors.clear(gained)
        self._membership.move(gained, np.full(len(gained), -1))
        components = self._connect(changes.activated, gained)
        if components is not None:
            clusters = self._create(components)
            self._merge(components, clusters)
            self._absorb_cores(components, clusters)
        return self._absorb_borders(changes, gained, unanchored)

    def _connect(self, activated: Slots, gained: Slots) -> _Components | None:
        """The components of what new edges between cores, and new cores, connect; None where that is nothing."""
        nodes = self._nodes
        source, target = self._graph.ends(activated)
        owners, _, neighbours = self._graph.neighbours(gained)
        # A new core is paired with itself, so that it is a vertex even without neighbours.
        one = np.concatenate([source, owners, gained])
        other = np.concatenate([target, neighbours, gained])
        both_core = nodes.core[one] & nodes.core[other]
        offset = self._membership.clusters.used
        one, other = self._vertices(one[both_core], offset), self._vertices(other[both_core], offset)
        of_interest = (one != other) | (one >= offset)
        vertices, compact = np.unique(np.concatenate([one[of_interest], other[of_interest]]), return_inverse=True)
        if not len(vertices):
            return None
        half = len(compact) // 2
        pairs = coo_array((np.ones(half, dtype=np.int8), (compact[:half], compact[half:])), (len(vertices),) * 2)
        count, component = connected_components(pairs, directed=False)
        is_cluster = vertices < offset
        sizes = np.full(len(vertices), -1, dtype=np.int64)
        sizes[is_cluster] = self._membership.size(vertices[is_cluster])
        order = np.lexsort((vertices, -sizes, component))
        first = order[np.searchsorted(component[order], np.arange(count))]
        return _Components(offset, vertices, is_cluster, component.astype(np.int64), vertices[first])

    def _vertices(self, cores: Slots, offset: int) -> Slots:
        """The cluster of each core; of a new core, which is in none yet, its own number from `offset` on."""
        clusters = self._nodes.cluster[cores]
        return np.where(clusters >= 0, clusters, cores + offset)

    def _create(self, components: _Components) -> Slots:
        """Creation: components of new cores only become clusters. Returns the cluster of each component."""
        clusters = components.largest.copy()
        without_cluster = clusters >= components.offset
        clusters[without_cluster] = self._membership.create(int(without_cluster.sum()))
        return clusters

    def _merge(self, components: _Components, clusters: Slots) -> None:
        """Merge: of several clusters in one component the largest takes in the members of the others."""
        vertices, of_component = components.vertices, clusters[components.component]
        merging = components.is_cluster & (vertices != of_component)
        former, members = self._membership.members.read(vertices[merging])
        self._membership.move(members, of_component[np.searchsorted(vertices, former)])

    def _absorb_cores(self, components: _Components, clusters: Slots) -> None:
        """Absorption, of new cores: they join the cluster of their component, a created one too."""
        cores = ~components.is_cluster
        nodes = components.vertices[cores] - components.offset
        self._membership.move(nodes, clusters[components.component[cores]])

    def _absorb_borders(self, changes: EdgeChanges, gained: Slots, unanchored: Slots) -> Slots:
        """Absorption, of borders: they join the cluster of the nearest core. Without any core nearby they are noise."""
        return self._anchors.attach(unanchored, changes, gained)

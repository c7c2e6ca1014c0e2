"""The edges, and for each node the list of its edges at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Slots, unique
from clustering.columns.lists import Lists
from clustering.nodes import Edges, Int32, Nodes


class EdgeLists:
    """Adds, reads and deletes edges. Owns the edges' rows, all their columns but `active`, and the nodes' `holes`.

    A deleted edge leaves its source's list at once. In its target's list it stays as a *hole*, because each deletion
    would otherwise cost the length of that list; the list is cleared when enough of it is holes. The edge's row is
    released once it is in no list.
    """

    def __init__(self, nodes: Nodes, edges: Edges) -> None:
        """Without edges."""
        self._nodes = nodes
        self._edges = edges
        self._lists = Lists()
        # Edges that are in no list any more. Their rows keep their values until the end of the batch.
        self._cleared: list[Slots] = []

    @property
    def sizes(self) -> Int32:
        """By node, the length of its list, holes included."""
        return self._lists.sizes

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The lists as arrays by name; the tables of nodes and edges have a state of their own."""
        return self._lists.state()

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        self._lists.restore(state)

    def ensure(self, nodes: int) -> None:
        """Make the lists of nodes 0 to `nodes` - 1 usable."""
        self._lists.ensure(nodes)

    def read(self, nodes: Slots) -> tuple[Slots, Slots]:
        """The edges of distinct nodes, holes included: for each edge the node, and the edge."""
        return self._lists.read(nodes)

    def add(
        self, sources: Slots, targets: Slots, distances: npt.NDArray[np.float64], shards: npt.NDArray[np.uint8]
    ) -> None:
        """Add edges, none of them active. All arrays have shape (n,)."""
        edges = self._edges.take(len(sources))
        self._edges.source[edges] = sources
        self._edges.target[edges] = targets
        self._edges.distance[edges] = distances
        self._edges.shard[edges] = shards
        self._lists.append(np.concatenate([sources, targets]), np.concatenate([edges, edges]))

    def delete(self, sources: Slots, edges: Slots) -> None:
        """Delete edges, given with their sources. Until the end of the batch their rows keep target and distance."""
        if not len(edges):
            return
        self._edges.source[edges] = -1
        targets = self._edges.target[edges].astype(np.int64)
        np.add.at(self._nodes.holes, targets, 1)
        sizes = self._lists.sizes[targets]
        # A list is cleared when an eighth to a quarter of it is holes. The threshold depends on the node, so that the
        # lists of one cluster, whose edges are deleted together, are not all cleared in the same batch.
        due = targets[self._nodes.holes[targets] * 64 >= sizes * (8 + targets % 8)]
        self._cleared.append(self._clear(unique(sources, due)))

    def without_edges(self, nodes: Slots) -> Slots:
        """Those of these nodes that have no edges left."""
        return np.asarray(nodes[self._lists.sizes[nodes] == self._nodes.holes[nodes]])

    def drop_lists(self, nodes: Slots) -> None:
        """Empty the lists of nodes that have no edges left, and release the rows of the holes in them."""
        self._edges.release(self._clear(nodes))

    def finish_batch(self) -> None:
        """Release the rows of edges that are in no list any more."""
        if self._cleared:
            self._edges.release(np.concatenate(self._cleared))
        self._cleared = []

    def _clear(self, nodes: Slots) -> Slots:
        """Remove holes from the lists of these nodes. Returns the edges that are now in no list."""
        owners, edges = self._lists.read(nodes)
        deleted = self._edges.source[edges] < 0
        self._lists.retain(nodes, ~deleted)
        self._nodes.holes[nodes] = 0
        # An edge leaves its source's list first, so the target's list is the last one that it is in.
        edges, owners = edges[deleted], owners[deleted]
        return np.asarray(edges[self._edges.target[edges] == owners])

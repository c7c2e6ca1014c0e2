"""The clustering of all live faces, kept up to date record by record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering import active_edges, changes
from clustering.changes import Delta
from clustering.columns.arrays import joined, part, unique
from clustering.dbscan import Dbscan
from clustering.graph import Graph, NeighboursWithdrawn
from clustering.labelling import Labelling
from clustering.live_decisions import LiveDecisions
from clustering.membership import Membership
from clustering.parameters import Parameters
from clustering.published_clusters import PublishedClusters
from decisions.holding import DecisionDeleted
from schemas.clusters import FaceAssigned
from schemas.decisions import Decision
from schemas.neighbours import NeighboursFound

__all__ = ["Clustering", "ClusteringInput", "DecisionDeleted", "Delta", "NeighboursWithdrawn", "Parameters"]

ClusteringInput = NeighboursFound | NeighboursWithdrawn | Decision | DecisionDeleted
"""What a clustering is told: what was found near faces, and what archivists decided."""


class Clustering:
    """DBSCAN of the live faces, from edges alone; nothing is searched.

    Its state is a function of the latest record of each (scan, shard), whatever the order and the batches they came
    in. The live analysis of a scan is the highest one among them, and an edge counts while both its ends are live.
    Where several edges join two faces, the shortest one counts. Decisions add to it what
    `clustering.published_clusters` and `clustering.labelling` say, and are as indifferent to order.
    """

    def __init__(self, parameters: Parameters) -> None:
        """No faces."""
        self.parameters = parameters
        self.graph = Graph(parameters)
        self.live_decisions = LiveDecisions(self.graph)
        self._membership = Membership(self.graph.nodes, "cluster")
        self._dbscan = Dbscan(self.graph, self._membership)
        self.published_clusters = PublishedClusters(self.graph, self._membership, self.live_decisions)
        self._labelling = Labelling(self.graph, self.published_clusters, self.live_decisions)

    @classmethod
    def of_state(cls, parameters: Parameters, state: Mapping[str, npt.NDArray[Any]]) -> Clustering:
        """The clustering that `state` was taken from, without its decisions; with them, it behaves as that one would.

        `state` is not to be used again.
        """
        clustering = cls(parameters)
        clustering.graph.restore(part(state, "graph"))
        clustering._membership.restore(part(state, "membership"))
        nodes = clustering.graph.nodes
        live = np.flatnonzero(nodes.live[: nodes.used])
        changes.note_said(nodes, live, clustering.published_clusters.names_of(live), changes.roles_of(nodes, live))
        return clustering

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All there is to it but the decisions, as arrays by name: numbers, and columns of names.

        They are views: not to be changed.
        """
        return joined(graph=self.graph.state(), membership=self._membership.state())

    def apply(self, batch: Sequence[ClusteringInput]) -> Delta:
        """Take in what was said, in that order; what it changed.

        Cost: the edges of the faces in the batch and of the clusters whose id or extent changes (a cluster that
        must change its id costs its size); and the size of each changed cluster in which a name was given, or whose
        faces were linked or separated. Raises ValueError, having changed nothing, when a record's eps_max is smaller
        than eps, or its shard is beyond 255.
        """
        replaced = self.graph.replace(
            self.graph.latest([it for it in batch if isinstance(it, NeighboursFound | NeighboursWithdrawn)])
        )
        changed = active_edges.compare(self.graph, replaced)
        decided = self.live_decisions.update(
            [it for it in batch if not isinstance(it, NeighboursFound | NeighboursWithdrawn)],
            born=changed.born,
            died=changed.died,
        )
        looked_at = self._dbscan.update(changed)
        self._membership.rename()
        if len(self.live_decisions.decisions):
            touched = unique(looked_at, changed.nodes(self.graph), self._membership.moved())
            self.published_clusters.update(touched, decided)
            looked_at = unique(looked_at, self._labelling.update(touched, decided))
        delta = changes.tell(
            self.graph, self.published_clusters, unique(looked_at, self.published_clusters.moved()), changed.died
        )
        self.published_clusters.settle()
        self._membership.settle()
        self.graph.settle()
        return delta

    def assignments(self) -> Iterator[FaceAssigned]:
        """The assignment of every live face, in no particular order."""
        nodes = self.graph.nodes
        live = np.flatnonzero(nodes.live[: nodes.used])
        return changes.assigned(self.graph, live, self.published_clusters.names_of(live), changes.roles_of(nodes, live))

    def sizes(self) -> dict[str, int]:
        """The number of faces of every cluster, by cluster id. Noise is in none."""
        return self.published_clusters.sizes()

"""The clustering of all live faces, kept up to date record by record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering import active_edges, changes
from clustering.changes import Delta
from clustering.columns.arrays import Slots, prefixed, section, unique
from clustering.dbscan import Dbscan
from clustering.graph import Graph
from clustering.held_records import NeighboursWithdrawn
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
"""What `Clustering.apply` takes: records of `neighbours`, decisions of archivists, and the tombstones of both."""


class Clustering:
    """DBSCAN of the live faces, from edges alone; nothing is searched.

    Its state is a function of the latest record of each (scan, shard), whatever the order and the batches they came
    in. The live analysis of a scan is the highest one among them, and an edge counts while both its ends are live.
    Where several edges join two faces, the shortest one counts. The effects of decisions, described in
    `clustering.published_clusters` and `clustering.labelling`, do not depend on order either.
    """

    def __init__(self, parameters: Parameters) -> None:
        """Without faces."""
        self.parameters = parameters
        self.graph = Graph(parameters)
        self.live_decisions = LiveDecisions(self.graph)
        self._membership = Membership(self.graph.nodes, "cluster")
        self._dbscan = Dbscan(self.graph, self._membership)
        self.published_clusters = PublishedClusters(self.graph, self._membership, self.live_decisions)
        self._labelling = Labelling(self.graph, self.published_clusters, self.live_decisions)

    @classmethod
    def of_state(cls, parameters: Parameters, state: Mapping[str, npt.NDArray[Any]]) -> Clustering:
        """The clustering that `state` was taken from, without its decisions. Once it has them, it behaves the same.

        The arrays of `state` become the clustering's own: do not use them any more.
        """
        clustering = cls(parameters)
        clustering.graph.restore(section(state, "graph"))
        clustering._membership.restore(section(state, "membership"))
        nodes, live = clustering.graph.nodes, clustering.live_nodes()
        cluster_ids = clustering.published_clusters.cluster_ids_of(live)
        changes.mark_published(nodes, live, cluster_ids, changes.roles_of(nodes, live))
        return clustering

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Its whole state except decisions, as arrays by name: numbers, and columns of strings.

        The arrays are views: do not change them.
        """
        return prefixed(graph=self.graph.state(), membership=self._membership.state())

    def apply(self, batch: Sequence[ClusteringInput]) -> Delta:
        """Apply a batch, in its order, and return what it changed.

        Cost: the edges of the faces in the batch and of the clusters whose id or extent changes (a cluster that
        must change its id costs its size); and the size of each changed cluster that holds a name, a must-link or a
        cannot-link. Raises ValueError, having changed nothing, when a record's eps_max is smaller than eps.
        """
        records = [entry for entry in batch if isinstance(entry, NeighboursFound | NeighboursWithdrawn)]
        decisions = [entry for entry in batch if not isinstance(entry, NeighboursFound | NeighboursWithdrawn)]
        latest = self.graph.records.latest(records)
        had_decisions = len(self.live_decisions.decisions) > 0
        self.live_decisions.apply(decisions)
        graph_changes = self.graph.replace(latest, self.live_decisions.exclude, self.live_decisions.include)
        edge_changes = active_edges.compare(self.graph, graph_changes)
        removed = edge_changes.removed
        decided = self.live_decisions.update(edge_changes.added, removed)
        affected = self._dbscan.update(edge_changes)
        self._membership.update_ids()
        self._labelling.clear(removed)
        # Also in the batch that deletes the last decision: its effects have to end.
        if had_decisions or len(self.live_decisions.decisions):
            touched = unique(affected, edge_changes.nodes(self.graph), self._membership.moved())
            self.published_clusters.update(touched, decided)
            affected = unique(affected, self._labelling.update(touched, decided))
        affected = unique(affected, self.published_clusters.moved())
        delta = changes.delta_of(self.graph, self.published_clusters, affected, removed)
        self.published_clusters.finish_batch()
        self._membership.finish_batch()
        self.graph.finish_batch()
        return delta

    def assignments(self) -> Iterator[FaceAssigned]:
        """The assignment of every live face, in the order of `live_nodes`."""
        nodes, live = self.graph.nodes, self.live_nodes()
        cluster_ids = self.published_clusters.cluster_ids_of(live)
        return changes.assignments_of(self.graph, live, cluster_ids, changes.roles_of(nodes, live))

    def sizes(self) -> dict[str, int]:
        """The number of faces of every cluster, by cluster id. Noise is in none."""
        return self.published_clusters.sizes()

    @property
    def faces(self) -> int:
        """How many live faces there are."""
        nodes = self.graph.nodes
        return int(np.count_nonzero(nodes.live[: nodes.used]))

    def live_nodes(self) -> Slots:
        """The nodes of all live faces, ascending."""
        nodes = self.graph.nodes
        return np.flatnonzero(nodes.live[: nodes.used])

"""The clustering of all live faces, kept up to date record by record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering import changes, links
from clustering.arrays import joined, part, unique
from clustering.changes import Delta
from clustering.dbscan import Dbscan
from clustering.graph import Graph, PartWithdrawn
from clustering.membership import Membership
from clustering.parameters import Parameters
from schemas.clusters import FaceAssigned
from schemas.neighbours import NeighboursFound

__all__ = ["Clustering", "Delta", "Parameters", "PartWithdrawn"]


class Clustering:
    """DBSCAN of the live faces, from edges alone; nothing is searched.

    Its state is a function of the latest record of each (scan, shard), whatever the order and the batches they came
    in. The live analysis of a scan is the highest one among them, and an edge counts while both its ends are live.
    Where several edges join two faces, the shortest one counts.
    """

    def __init__(self, parameters: Parameters) -> None:
        """No faces."""
        self.parameters = parameters
        self.graph = Graph(parameters)
        self._membership = Membership(self.graph.nodes)
        self._dbscan = Dbscan(self.graph, self._membership)

    @classmethod
    def of_state(cls, parameters: Parameters, state: Mapping[str, npt.NDArray[Any]]) -> Clustering:
        """The clustering that `state` was taken from; it behaves as that one would. `state` is not to be used again."""
        clustering = cls(parameters)
        clustering.graph.restore(part(state, "graph"))
        clustering._membership.restore(part(state, "membership"))
        nodes = clustering.graph.nodes
        live = np.flatnonzero(nodes.live[: nodes.used])
        nodes.said_role[live] = changes.roles_of(nodes, live)
        nodes.said_cluster[live] = clustering._membership.names_of(live)
        return clustering

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All there is to it, as arrays by name (numbers, and columns of names). They are views: not to be changed."""
        return joined(graph=self.graph.state(), membership=self._membership.state())

    def apply(self, batch: Sequence[NeighboursFound | PartWithdrawn]) -> Delta:
        """Take in what was said, in that order; what it changed.

        Cost: the edges of the faces in the batch and of the clusters whose id or extent changes (a cluster that
        must change its id costs its size). Raises ValueError, having changed nothing, when a record's eps_max is
        smaller than eps, or its shard is beyond 255.
        """
        replaced = self.graph.replace(self.graph.latest(batch))
        changed = links.decide(self.graph, replaced)
        looked_at = self._dbscan.update(changed)
        self._membership.rename()
        delta = changes.tell(self.graph, self._membership, unique(looked_at, self._membership.moved()), changed.died)
        self._membership.settle()
        self.graph.settle()
        return delta

    def assignments(self) -> Iterator[FaceAssigned]:
        """The assignment of every live face, in no particular order."""
        nodes = self.graph.nodes
        live = np.flatnonzero(nodes.live[: nodes.used])
        return changes.assigned(self.graph, live, self._membership.names_of(live), changes.roles_of(nodes, live))

    def sizes(self) -> dict[str, int]:
        """The number of faces of every cluster, by cluster id. Noise is in none."""
        used = self._membership.clusters.used
        names = self._membership.clusters.name[:used].tolist()
        sizes = self._membership.members.sizes[:used].tolist()
        return {name: size for name, size in zip(names, sizes, strict=True) if size}

"""Clusters as sets of nodes: their members, the oldest of them, and the id that follows from it.

There are two of them: DBSCAN's clusters, and the constrained clusters that replace some of these.

A cluster's row number has no meaning outside; its id is the face id of its oldest member (publication time, then face
id). Moves are recorded, so that a batch can return what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Names, Slots, least, prefixed, section, unique
from clustering.columns.lists import Lists
from clustering.columns.tables import Table
from clustering.nodes import Int32, Nodes


class Clusters(Table):
    """One row for each cluster."""

    oldest: Int32
    cluster_id: Names
    # Whether some member may have a label, hard or soft. False is certain. `PublishedClusters` writes it.
    labelled: Mask

    columns: ClassVar = {"oldest": (np.int32, -1), "cluster_id": (np.object_, None), "labelled": (np.bool_, False)}
    derived: ClassVar = frozenset({"cluster_id", "labelled"})


class Membership:
    """Which node is in which cluster. Owns one column of the nodes: `cluster` or `constrained`, -1 for no cluster.

    before: id (None: a new cluster) and size before the batch, of every cluster that the batch touched, by row.
    """

    def __init__(self, nodes: Nodes, column: Literal["cluster", "constrained"]) -> None:
        """Without clusters."""
        self.clusters = Clusters()
        self.members = Lists()
        self.before: dict[int, tuple[str | None, int]] = {}
        self._nodes = nodes
        self._column = column
        self._moved: list[Slots] = []

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Its whole state between batches, as arrays by name."""
        return prefixed(clusters=self.clusters.state(), members=self.members.state())

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned. The table of nodes has to be restored before."""
        self.clusters.restore(section(state, "clusters"))
        self.members.restore(section(state, "members"))
        in_use = np.flatnonzero(self.clusters.oldest[: self.clusters.used] >= 0)
        self.clusters.cluster_id[in_use] = self._nodes.face_id[self.clusters.oldest[in_use]]

    def create(self, count: int) -> Slots:
        """Create clusters without members, and return their rows."""
        slots = self.clusters.take(count)
        self.members.ensure(self.clusters.used)
        return slots

    def size(self, clusters: Slots) -> Int32:
        """The number of members of each cluster."""
        return self.members.sizes[clusters]

    def move(self, nodes: Slots, targets: Slots) -> None:
        """Move distinct nodes into clusters, given by row; -1: into none. Cost: the sizes of the clusters left."""
        cluster_of = self._cluster_of_nodes()
        origins = cluster_of[nodes].astype(np.int64)
        moving = origins != targets
        if not moving.any():
            return
        nodes, origins, targets = nodes[moving], origins[moving], targets[moving]
        left = unique(origins[origins >= 0])
        self._record_before(unique(left, targets[targets >= 0]))
        cluster_of[nodes] = targets
        owners, members = self.members.read(left)
        self.members.retain(left, cluster_of[members] == owners)
        joining = targets >= 0
        self.members.append(targets[joining], nodes[joining])
        self._moved.append(nodes)

    def update_ids(self) -> None:
        """Determine the oldest members of the clusters that were touched, and with them their ids."""
        oldest, cluster_of = self.clusters.oldest, self._cluster_of_nodes()
        touched = np.fromiter(self.before, dtype=np.int64, count=len(self.before))
        clusters = touched[self.members.sizes[touched] > 0]
        oldest[np.setdiff1d(touched, clusters)] = -1
        # Where the oldest member is still there, only new members can be older. Elsewhere all members are compared.
        former = oldest[clusters].astype(np.int64)
        still_there = (former >= 0) & (cluster_of[former] == clusters)
        _, all_members = self.members.read(clusters[~still_there])
        candidates = unique(self.moved(), former[still_there], all_members)
        candidates = candidates[cluster_of[candidates] >= 0]
        groups = cluster_of[candidates].astype(np.int64)
        first = least(groups, self._nodes.published_at[candidates], self._nodes.face_id[candidates])
        clusters, winners = groups[first], candidates[first]
        oldest[clusters] = winners
        cluster_ids = self._nodes.face_id[winners]
        changed = clusters[self.clusters.cluster_id[clusters] != cluster_ids]
        self.clusters.cluster_id[clusters] = cluster_ids
        # All members of a cluster whose id changed have another cluster id now.
        _, members = self.members.read(changed)
        self._moved.append(members)

    def moved(self) -> Slots:
        """The nodes whose cluster, or cluster's id, may have changed in this batch: distinct, ascending."""
        return unique(*self._moved)

    def finish_batch(self) -> None:
        """Release the rows of clusters without members, and begin to record the next batch."""
        touched = np.fromiter(self.before, dtype=np.int64, count=len(self.before))
        self.clusters.release(touched[self.members.sizes[touched] == 0])
        self.before = {}
        self._moved = []

    def _cluster_of_nodes(self) -> Int32:
        column: Int32 = getattr(self._nodes, self._column)
        return column

    def _record_before(self, clusters: Slots) -> None:
        untouched = [cluster for cluster in clusters.tolist() if cluster not in self.before]
        slots = np.array(untouched, dtype=np.int64)
        cluster_ids = self.clusters.cluster_id[slots].tolist()
        sizes = self.members.sizes[slots].tolist()
        self.before.update(zip(untouched, zip(cluster_ids, sizes, strict=True), strict=True))

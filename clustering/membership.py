"""Clusters as sets of nodes: members, the oldest of them, and the name that comes from it.

There are two of it: DBSCAN's clusters, and the parts that links and separations make of some of them.

A cluster's row number means nothing outside; its name is the face id of its oldest member (publication time, then
face id). Moves are noted, so that a batch can say what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import NO_SLOTS, Mask, Names, Slots, joined, least, part, unique
from clustering.columns.lists import Lists
from clustering.columns.tables import Table
from clustering.nodes import Nodes


class Clusters(Table):
    """One row a cluster."""

    oldest: npt.NDArray[np.int32]
    name: Names
    # Whether some member may have a label, hard or soft. False is certain.
    labelled: Mask

    columns: ClassVar = {"oldest": (np.int32, -1), "name": (np.object_, None), "labelled": (np.bool_, False)}
    derived: ClassVar = frozenset({"name", "labelled"})


class Membership:
    """Which node is in which cluster."""

    def __init__(self, nodes: Nodes, column: Literal["cluster", "part"]) -> None:
        """No clusters. `column` of the nodes says which cluster each is in, -1 for none."""
        self.clusters = Clusters()
        self.members = Lists()
        # Name (None: a new cluster) and size before the batch, of every cluster that it touched.
        self.before: dict[int, tuple[str | None, int]] = {}
        self._nodes = nodes
        self._column = column
        self._moved: list[Slots] = []

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All there is to it between batches, as arrays by name."""
        return joined(clusters=self.clusters.state(), members=self.members.state())

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what `state` was taken from; the nodes are there already."""
        self.clusters.restore(part(state, "clusters"))
        self.members.restore(part(state, "members"))
        named = np.flatnonzero(self.clusters.oldest[: self.clusters.used] >= 0)
        self.clusters.name[named] = self._nodes.face_id[self.clusters.oldest[named]]

    def create(self, count: int) -> Slots:
        """New clusters without members."""
        slots = self.clusters.take(count)
        self.members.ensure(self.clusters.used)
        return slots

    def size(self, clusters: Slots) -> npt.NDArray[np.int32]:
        """How many members each cluster has."""
        return self.members.sizes[clusters]

    def move(self, nodes: Slots, targets: Slots) -> None:
        """Put distinct nodes into clusters; -1: into none."""
        column = self._of_nodes()
        origins = column[nodes].astype(np.int64)
        moving = origins != targets
        if not moving.any():
            return
        nodes, origins, targets = nodes[moving], origins[moving], targets[moving]
        left = unique(origins[origins >= 0])
        self._remember(unique(left, targets[targets >= 0]))
        column[nodes] = targets
        owners, members = self.members.read(left)
        self.members.retain(left, column[members] == owners)
        joining = targets >= 0
        self.members.append(targets[joining], nodes[joining])
        self._moved.append(nodes)

    def rename(self) -> None:
        """Name the clusters that were touched after their oldest members."""
        touched = np.fromiter(self.before, dtype=np.int64, count=len(self.before))
        clusters = touched[self.members.sizes[touched] > 0]
        oldest, of_nodes = self.clusters.oldest, self._of_nodes()
        oldest[np.setdiff1d(touched, clusters)] = -1
        kept = oldest[clusters].astype(np.int64)
        still = (kept >= 0) & (of_nodes[kept] == clusters)
        _, all_members = self.members.read(clusters[~still])
        candidates = unique(self.moved(), kept[still], all_members)
        candidates = candidates[of_nodes[candidates] >= 0]
        groups = of_nodes[candidates].astype(np.int64)
        first = least(groups, self._nodes.published[candidates], self._nodes.face_id[candidates])
        clusters, winners = groups[first], candidates[first]
        oldest[clusters] = winners
        names = self._nodes.face_id[winners]
        renamed = clusters[self.clusters.name[clusters] != names]
        self.clusters.name[clusters] = names
        # Everyone in a renamed cluster has a new cluster id. Who stayed in a new cluster's list has joined it anyway.
        _, members = self.members.read(renamed)
        self._moved.append(members)

    def moved(self) -> Slots:
        """The nodes whose cluster, or cluster's name, may have changed in this batch."""
        return unique(*self._moved)

    def settle(self) -> None:
        """The batch is over: release the clusters that nobody is in any more."""
        touched = np.fromiter(self.before, dtype=np.int64, count=len(self.before))
        self.clusters.release(touched[self.members.sizes[touched] == 0])
        self.before = {}
        self._moved = []

    def _of_nodes(self) -> npt.NDArray[np.int32]:
        column: npt.NDArray[np.int32] = getattr(self._nodes, self._column)
        return column

    def _remember(self, clusters: Slots) -> None:
        fresh = [cluster for cluster in clusters.tolist() if cluster not in self.before]
        slots = np.array(fresh, dtype=np.int64) if fresh else NO_SLOTS
        names = self.clusters.name[slots].tolist()
        sizes = self.members.sizes[slots].tolist()
        self.before.update(zip(fresh, zip(names, sizes, strict=True), strict=True))

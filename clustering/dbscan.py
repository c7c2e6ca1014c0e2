"""Incremental DBSCAN on the graph's links: who is core, which cores hang together, where borders belong.

Ester, Kriegel, Sander, Wimmer, Xu: Incremental Clustering for Mining in a Data Warehousing Environment, VLDB 1998, for
whole batches: first everything that ended, with splits; then everything that began, with creations, absorptions and
merges in one go, also those where no new core appears (which the paper leaves out, see docs/clustering.md).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering import active_edges
from clustering.active_edges import Links
from clustering.columns.arrays import Mask, Slots, least, unique
from clustering.graph import Graph
from clustering.membership import Membership
from clustering.split_search import separate

_NO_ANCHOR = -1


class Dbscan:
    """Keeps the columns count, core, anchor and cluster of the graph's nodes."""

    def __init__(self, graph: Graph, membership: Membership) -> None:
        """`graph` and `membership` share one table of nodes."""
        self._graph = graph
        self._nodes = graph.nodes
        self._edges = graph.edges
        self._membership = membership

    def update(self, links: Links) -> Slots:
        """Bring the clusters up to date. The nodes whose role may have changed."""
        nodes = self._nodes
        made = np.concatenate(self._ends(links.made))
        nodes.count[links.born] = 1
        np.add.at(nodes.count, np.concatenate([links.left, links.right]), -1)
        np.add.at(nodes.count, made, 1)
        touched = unique(links.born, links.died, links.left, links.right, made)
        nodes.count[links.died] = 0

        was = nodes.core[touched]
        enough = nodes.count[touched] >= self._graph.parameters.min_samples
        core = nodes.live[touched] & nodes.may_be_core[touched] & enough
        lost, gained = touched[was & ~core], touched[core & ~was]

        nodes.core[lost] = False
        self._membership.move(links.died, np.full(len(links.died), -1))
        self._separate(links, lost)
        stray = self._strays(lost, unique(touched, *self._ends(links.moved)))
        active_edges.activate(self._graph, links)
        nodes.core[gained] = True
        nodes.anchor[gained] = _NO_ANCHOR
        self._membership.move(gained, np.full(len(gained), -1))
        self._unite(links.made, gained)
        borders = self._attach(stray, links, gained)
        return unique(links.born, links.died, lost, gained, borders)

    def _separate(self, links: Links, lost: Slots) -> None:
        """Split the clusters that fall apart without the lost cores and the ended links."""
        nodes = self._nodes
        if not len(links.left) + len(lost):
            return
        left_was = nodes.core[links.left] | np.isin(links.left, lost)
        right_was = nodes.core[links.right] | np.isin(links.right, lost)
        both = left_was & right_was
        ends = np.concatenate([links.left[both], links.right[both]])
        _, _, beside = self._graph.neighbours(lost)
        seeds = unique(ends, beside)
        seeds = seeds[nodes.core[seeds]]
        clusters = nodes.cluster[seeds]
        order = np.argsort(clusters)
        groups = np.split(seeds[order], np.flatnonzero(np.diff(clusters[order])) + 1)
        for group in groups:
            if len(group) > 1:
                _, members = self._membership.members.read(nodes.cluster[group[:1]].astype(np.int64))
                self._move_out(separate(self._graph, members, group))

    def _move_out(self, parts: list[Slots]) -> None:
        """Make each part of a cluster, its cores and the borders that are anchored at them, a cluster of its own."""
        if not parts:
            return
        nodes = self._nodes
        cores = np.concatenate(parts)
        origin = nodes.cluster[cores[0]]
        clusters = self._membership.create(len(parts))
        self._membership.move(cores, np.repeat(clusters, [len(part) for part in parts]))
        owners, edges, others = self._graph.neighbours(cores)
        anchored = (nodes.anchor[others] == edges) & (nodes.cluster[others] == origin) & ~nodes.core[others]
        self._membership.move(others[anchored], nodes.cluster[owners[anchored]].astype(np.int64))

    def _strays(self, lost: Slots, touched: Slots) -> Slots:
        """The live nodes that must look for an anchor among all their neighbours: theirs is gone, or they were core."""
        nodes = self._nodes
        _, _, beside = self._graph.neighbours(lost)
        borders = unique(touched, beside)
        borders = borders[nodes.anchor[borders] != _NO_ANCHOR]
        adrift = borders[~self._holds(borders)]
        nodes.anchor[adrift] = _NO_ANCHOR
        strays = unique(lost, adrift)
        return strays[nodes.live[strays]]

    def _holds(self, borders: Slots) -> Mask:
        """Whether each border's anchor still is a linked core."""
        edges = self._nodes.anchor[borders].astype(np.int64)
        others = self._graph.other_end(edges, borders)
        return np.asarray(self._edges.linked[edges] & self._nodes.core[others])

    def _unite(self, made: Slots, gained: Slots) -> None:
        """Join what new links between cores, and new cores, bring together.

        The vertices are the clusters that are met and the new cores; of the clusters that become one, the largest takes
        in the others.
        """
        nodes = self._nodes
        source, target = self._ends(made)
        owners, _, others = self._graph.neighbours(gained)
        one = np.concatenate([source, owners, gained])
        other = np.concatenate([target, others, gained])
        both = nodes.core[one] & nodes.core[other]
        offset = self._membership.clusters.used
        one, other = self._vertices(one[both], offset), self._vertices(other[both], offset)
        different = (one != other) | (one >= offset)
        vertices, compact = np.unique(np.concatenate([one[different], other[different]]), return_inverse=True)
        if not len(vertices):
            return
        half = len(compact) // 2
        links = coo_array((np.ones(half, dtype=np.int8), (compact[:half], compact[half:])), (len(vertices),) * 2)
        count, group = connected_components(links, directed=False)
        is_cluster = vertices < offset
        sizes = np.full(len(vertices), -1, dtype=np.int64)
        sizes[is_cluster] = self._membership.size(vertices[is_cluster])
        order = np.lexsort((vertices, -sizes, group))
        head = order[np.searchsorted(group[order], np.arange(count))]
        target_of = vertices[head]
        fresh = target_of >= offset
        target_of[fresh] = self._membership.create(int(fresh.sum()))

        joining = is_cluster & (vertices != target_of[group])
        joined, members = self._membership.members.read(vertices[joining])
        place = np.searchsorted(vertices, joined)
        self._membership.move(members, target_of[group[place]])
        self._membership.move(vertices[~is_cluster] - offset, target_of[group[~is_cluster]])

    def _ends(self, edges: Slots) -> tuple[Slots, Slots]:
        return self._edges.source[edges].astype(np.int64), self._edges.target[edges].astype(np.int64)

    def _vertices(self, cores: Slots, offset: int) -> Slots:
        """The cluster of each core; for a new one, which is in none yet, a number of its own from `offset` on."""
        clusters = self._nodes.cluster[cores]
        return np.where(clusters >= 0, clusters, cores + offset)

    def _attach(self, strays: Slots, links: Links, gained: Slots) -> Slots:
        """Give borders the nearest core (distance, then face id), where that may have changed. The nodes looked at."""
        nodes, edges = self._nodes, self._edges
        stray_owners, stray_edges, _ = self._graph.neighbours(strays)
        _, gained_edges, gained_others = self._graph.neighbours(gained)
        changed = np.concatenate([links.made, links.moved])
        owners = np.concatenate([stray_owners, gained_others, *self._ends(changed)])
        offers = np.concatenate([stray_edges, gained_edges, changed, changed])
        possible = ~nodes.core[owners] & nodes.core[self._graph.other_end(offers, owners)]
        owners, offers = owners[possible], offers[possible]
        offered = unique(owners)
        held = offered[nodes.anchor[offered] != _NO_ANCHOR]
        owners = np.concatenate([owners, held])
        offers = np.concatenate([offers, nodes.anchor[held].astype(np.int64)])
        anchors = self._graph.other_end(offers, owners)
        best = least(owners, edges.distance[offers], nodes.face_id[anchors])
        nodes.anchor[owners[best]] = offers[best]
        looked_at = unique(owners, strays, links.born)
        looked_at = looked_at[~nodes.core[looked_at]]
        targets = np.full(len(looked_at), -1, dtype=np.int64)
        anchored = nodes.anchor[looked_at] != _NO_ANCHOR
        edge = nodes.anchor[looked_at[anchored]].astype(np.int64)
        targets[anchored] = nodes.cluster[self._graph.other_end(edge, looked_at[anchored])]
        self._membership.move(looked_at, targets)
        return looked_at

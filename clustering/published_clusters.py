"""The clusters as they are published: DBSCAN's, or constrained clusters where must-links or cannot-links change them.

Most clusters hold no face with a constraint and are published as DBSCAN has them. The others form *groups*: clusters,
and single faces of noise, that must-links connect. Where the constraints of a group make a difference, its faces are
published in constrained clusters instead of DBSCAN's. A group is rebuilt when anything in it changes, at the cost of
its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from clustering.columns.arrays import NO_SLOTS, Names, Slots, unique
from clustering.constrained_linkage import ConstrainedFaces, constrained_linkage, must_link_groups
from clustering.graph import Graph
from clustering.live_decisions import LiveDecisions
from clustering.membership import Membership

_ClusterOrNoise = int
"""What groups consist of: a DBSCAN cluster, by its row, or a node of noise, as -2 - its slot."""


@dataclass(eq=False)
class _Group:
    """contents: the clusters and noise that it consists of. constrained_nodes: its nodes with a must- or cannot-link.

    clusters: the rows of the constrained clusters that replace `contents`; none if DBSCAN's are published.
    """

    contents: set[_ClusterOrNoise]
    constrained_nodes: list[int]
    clusters: Slots = field(default_factory=lambda: NO_SLOTS)


class PublishedClusters:
    """The published cluster of each live node. `update` follows a batch; it can be asked for changes until its end.

    Both kinds of clusters have rows of their own. So a published cluster is given by a *key*: 2 * row for one of
    DBSCAN's, 2 * row + 1 for a constrained one, -1 for none.
    """

    def __init__(self, graph: Graph, clusters: Membership, live_decisions: LiveDecisions) -> None:
        """Without constrained clusters. `clusters` are DBSCAN's."""
        self._graph = graph
        self._clusters = clusters
        self._constrained = Membership(graph.nodes, "constrained")
        self._live_decisions = live_decisions
        self._group_of: dict[_ClusterOrNoise, _Group] = {}
        # DBSCAN clusters of rebuilt groups that constrained clusters replaced before the batch, and those they do now.
        self._replaced_before: set[int] = set()
        self._replaced_now: set[int] = set()

    def update(self, touched: Slots, decided: Slots) -> None:
        """Rebuild the groups of nodes that a batch touched, or for which other decisions hold now."""
        outdated = self._groups_with(touched) | self._groups_with(decided) | self._groups_of(self._clusters.before)
        constrained_nodes = self._connected_by_must_links(outdated, decided.tolist())
        self._replaced_before = self._replaced_clusters(outdated)
        former = unique(*(self._constrained.members.read(group.clusters)[1] for group in outdated))
        for group in outdated:
            for content in group.contents:
                del self._group_of[content]
        groups = self._groups_from(sorted(constrained_nodes))
        self._group_of |= {content: group for group in groups for content in group.contents}
        self._move_into_constrained_clusters(former, groups)
        self._replaced_now = self._replaced_clusters(groups)
        self._constrained.update_ids()

    def keys_of(self, nodes: Slots) -> Slots:
        """The key of each node's published cluster."""
        table = self._graph.nodes
        constrained, cluster = table.constrained[nodes].astype(np.int64), table.cluster[nodes].astype(np.int64)
        return np.where(constrained >= 0, 2 * constrained + 1, np.where(cluster >= 0, 2 * cluster, -1))

    def members(self, key: int) -> Slots:
        """The nodes of a published cluster."""
        return self._membership(key).members.read(np.array([key // 2]))[1]

    def touched_keys(self) -> set[int]:
        """The keys of the published clusters that nodes joined or left in this batch."""
        clusters = self._clusters.before.keys() - self._replaced_now
        return {2 * row for row in clusters} | {2 * row + 1 for row in self._constrained.before}

    def may_be_labelled(self, key: int) -> bool:
        """Whether some node of a published cluster may have a label, hard or soft."""
        return bool(self._membership(key).clusters.labelled[key // 2])

    def set_labelled(self, key: int, labelled: bool) -> None:
        """Record whether some node of a published cluster may have a label."""
        self._membership(key).clusters.labelled[key // 2] = labelled

    def cluster_ids_of(self, nodes: Slots) -> Names:
        """The id of each node's published cluster, None where it is in none: shape (n,)."""
        table = self._graph.nodes
        constrained, cluster = table.constrained[nodes], table.cluster[nodes]
        cluster_ids = self._clusters.clusters.cluster_id[cluster]
        cluster_ids[cluster < 0] = None
        inside = constrained >= 0
        cluster_ids[inside] = self._constrained.clusters.cluster_id[constrained[inside]]
        return cluster_ids

    def moved(self) -> Slots:
        """The nodes whose published cluster, or its id, may have changed in this batch: distinct, ascending."""
        return unique(self._clusters.moved(), self._constrained.moved())

    def sizes_before(self) -> dict[str, int]:
        """The sizes before the batch of the published clusters that it touched, by cluster id."""
        touched = [before for row, before in self._clusters.before.items() if row not in self._replaced_before]
        # Only decisions changed them: what they hold now is what they held before.
        newly_replaced = self._replaced_now - self._replaced_before - self._clusters.before.keys()
        before = [*touched, *_ids_and_sizes(self._clusters, newly_replaced), *self._constrained.before.values()]
        return {cluster_id: size for cluster_id, size in before if cluster_id is not None}

    def sizes_after(self) -> dict[str, int]:
        """The present sizes of the published clusters that the batch touched, by cluster id."""
        clusters = (self._clusters.before.keys() | self._replaced_before) - self._replaced_now
        after = [
            *_ids_and_sizes(self._clusters, clusters),
            *_ids_and_sizes(self._constrained, self._constrained.before),
        ]
        return {cluster_id: size for cluster_id, size in after if cluster_id is not None and size}

    def sizes(self) -> dict[str, int]:
        """The number of faces of every published cluster, by cluster id."""
        replaced = self._replaced_clusters(self._group_of.values())
        clusters = (row for row in range(self._clusters.clusters.used) if row not in replaced)
        constrained = range(self._constrained.clusters.used)
        sizes = [*_ids_and_sizes(self._clusters, clusters), *_ids_and_sizes(self._constrained, constrained)]
        return {cluster_id: size for cluster_id, size in sizes if cluster_id is not None and size}

    def finish_batch(self) -> None:
        """Begin to record the next batch."""
        self._constrained.finish_batch()
        self._replaced_before, self._replaced_now = set(), set()

    def _membership(self, key: int) -> Membership:
        return self._constrained if key % 2 else self._clusters

    def _groups_with(self, nodes: Slots) -> set[_Group]:
        """The groups that these nodes are in now, or were in as noise."""
        if not self._group_of:
            return set()
        return self._groups_of({*self._graph.nodes.cluster[nodes].tolist(), *(-2 - nodes).tolist()})

    def _groups_of(self, contents: Iterable[_ClusterOrNoise]) -> set[_Group]:
        return {self._group_of[content] for content in contents if content in self._group_of}

    def _cluster_or_noise(self, node: int) -> _ClusterOrNoise:
        cluster = int(self._graph.nodes.cluster[node])
        return cluster if cluster >= 0 else -2 - node

    def _connected_by_must_links(self, outdated: set[_Group], decided: list[int]) -> set[int]:
        """The constrained nodes of the groups to rebuild. `outdated` grows by the groups that must-links connect."""
        nodes: set[int] = set()
        waiting = [*decided, *(node for group in outdated for node in group.constrained_nodes)]
        while waiting:
            node = waiting.pop()
            if node in nodes or not self._graph.nodes.live[node] or not self._live_decisions.is_constrained(node):
                continue
            nodes.add(node)
            waiting += self._live_decisions.must_linked_with(node)
            for group in self._groups_of([self._cluster_or_noise(node)]) - outdated:
                outdated.add(group)
                waiting += group.constrained_nodes
        return nodes

    def _groups_from(self, nodes: list[int]) -> list[_Group]:
        """The groups of these constrained nodes: what they are in, as far as must-links connect it."""
        content_of = {node: self._cluster_or_noise(node) for node in nodes}
        contents = list(dict.fromkeys(content_of.values()))
        position = {content: i for i, content in enumerate(contents)}
        must_links = [
            [position[content_of[one]], position[content_of[other]]]
            for one, other in self._live_decisions.must_links(nodes).tolist()
        ]
        number_of = must_link_groups(len(contents), np.array(must_links, dtype=np.int64).reshape(-1, 2)).tolist()
        groups: dict[int, _Group] = {}
        for content, number in zip(contents, number_of, strict=True):
            groups.setdefault(number, _Group(set(), [])).contents.add(content)
        for node in nodes:
            groups[number_of[position[content_of[node]]]].constrained_nodes.append(node)
        return list(groups.values())

    def _move_into_constrained_clusters(self, former: Slots, groups: list[_Group]) -> None:
        """Build the constrained clusters of groups in which constraints make a difference.

        `former` are the members of constrained clusters that are rebuilt: those that get no new one leave theirs.
        """
        nodes, targets = [former], [np.full(len(former), -1)]
        for group in groups:
            cannot_links = self._live_decisions.cannot_links(group.constrained_nodes)
            if len(group.contents) > 1 or len(cannot_links):
                members = self._members_of(group)
                # Without cannot-links a group is one constrained cluster, as `constrained_linkage` would return.
                linkage = self._link(group, members, cannot_links) if len(cannot_links) else np.zeros(len(members))
                _, number = np.unique(linkage, return_inverse=True)
                group.clusters = self._constrained.create(int(number.max()) + 1)
                nodes.append(members)
                targets.append(group.clusters[number])
        # A former member may be in a new constrained cluster: of two targets of one node the last one counts.
        distinct, last = np.unique(np.concatenate(nodes)[::-1], return_index=True)
        self._constrained.move(distinct, np.concatenate(targets)[::-1][last])

    def _members_of(self, group: _Group) -> Slots:
        rows = np.array(sorted(content for content in group.contents if content >= 0), dtype=np.int64)
        noise = np.array([-2 - content for content in group.contents if content < 0], dtype=np.int64)
        return unique(self._clusters.members.read(rows)[1], noise)

    def _link(self, group: _Group, members: Slots, cannot_links: Slots) -> Slots:
        """Constrained linkage of the members of a group: a number for each one's constrained cluster."""
        nodes = self._graph.nodes
        owners, edges, others = self._graph.neighbours(members)
        must_links = self._live_decisions.must_links(group.constrained_nodes)
        with nodes.marks() as positions:
            positions.number(members)
            once = (owners < others) & (positions[others] >= 0)
            faces = ConstrainedFaces(
                face_ids=nodes.face_id[members],
                core=nodes.core[members],
                one=positions[owners[once]].astype(np.int64),
                other=positions[others[once]].astype(np.int64),
                distances=self._graph.edges.distance[edges[once]],
                must_links=positions[must_links].astype(np.int64),
                cannot_links=positions[cannot_links].astype(np.int64),
            )
        return constrained_linkage(faces)

    def _replaced_clusters(self, groups: Iterable[_Group]) -> set[int]:
        """The rows of DBSCAN's clusters that constrained clusters replace in these groups."""
        return {content for group in groups if len(group.clusters) for content in group.contents if content >= 0}


def _ids_and_sizes(membership: Membership, rows: Iterable[int]) -> list[tuple[str | None, int]]:
    """Present id and size of each of these clusters."""
    slots = np.array(sorted(rows), dtype=np.int64)
    cluster_ids, sizes = membership.clusters.cluster_id[slots].tolist(), membership.members.sizes[slots].tolist()
    return list(zip(cluster_ids, sizes, strict=True))

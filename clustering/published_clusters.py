"""The clusters as they are published: DBSCAN's, joined where archivists linked faces, divided where they separated any.

Most clusters hold no linked or separated face and are DBSCAN's own. The others are looked after in *groups*: clusters,
and single faces of noise, that links hold together. Where decisions make a difference, the faces of a group are in
*parts* instead of their clusters. A group is made anew when anything in it changes, at the cost of its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from clustering import constrained_linkage
from clustering.columns.arrays import NO_SLOTS, Names, Slots, unique
from clustering.constrained_linkage import Group
from clustering.graph import Graph
from clustering.live_decisions import LiveDecisions
from clustering.membership import Membership

_Unit = int
"""What groups are made of: a cluster, by its row, or a node in no cluster, as -2 - its number."""

_NO_UNIT = -1


@dataclass(eq=False)
class _Held:
    """A group: its units, its nodes that are linked or separated, and its parts, where it is in parts."""

    units: set[_Unit]
    ends: list[int]
    parts: Slots = field(default_factory=lambda: NO_SLOTS)


class PublishedClusters:
    """Which published cluster each live node is in. `update` follows a batch; until `settle` it knows what it changed.

    Published clusters go by a number, their *home*: even for a cluster as DBSCAN has it, odd for a part, -1 for none.
    """

    def __init__(self, graph: Graph, clusters: Membership, decided: LiveDecisions) -> None:
        """No groups. `clusters` are DBSCAN's."""
        self.parts = Membership(graph.nodes, "part")
        self._graph = graph
        self._clusters = clusters
        self._decided = decided
        self._group_of: dict[_Unit, _Held] = {}
        # Of the clusters that the batch touched, those that were in parts before it, and those that are now.
        self._were_in_parts: set[int] = set()
        self._are_in_parts: set[int] = set()

    def update(self, touched: Slots, decided: Slots) -> None:
        """Make the groups anew in which a batch touched nodes, or in which decisions about nodes have changed."""
        dirty = self._groups_at(touched) | self._groups_at(decided) | self._groups_of(self._clusters.before)
        ends = self._hanging_together(dirty, decided.tolist())
        self._were_in_parts = self._clusters_in_parts(dirty)
        former = unique(*(self.parts.members.read(group.parts)[1] for group in dirty))
        for unit in (unit for group in dirty for unit in group.units):
            del self._group_of[unit]
        made = self._made_of(sorted(ends))
        self._group_of |= {unit: group for group in made for unit in group.units}
        self._put_into_parts(former, made)
        self._are_in_parts = self._clusters_in_parts(made)
        self.parts.rename()

    def homes(self, nodes: Slots) -> Slots:
        """The home of each node."""
        table = self._graph.nodes
        part, cluster = table.part[nodes].astype(np.int64), table.cluster[nodes].astype(np.int64)
        return np.where(part >= 0, 2 * part + 1, np.where(cluster >= 0, 2 * cluster, -1))

    def members(self, home: int) -> Slots:
        """The nodes of a home."""
        return self._membership(home).members.read(np.array([home // 2]))[1]

    def touched_homes(self) -> set[int]:
        """The homes that nodes joined or left in this batch."""
        clusters = self._clusters.before.keys() - self._are_in_parts
        return {2 * row for row in clusters} | {2 * row + 1 for row in self.parts.before}

    def may_be_labelled(self, home: int) -> bool:
        """Whether some node of a home may have a label, hard or soft."""
        return bool(self._membership(home).clusters.labelled[home // 2])

    def note_labelled(self, home: int, labelled: bool) -> None:
        """Say whether some node of a home has a label."""
        self._membership(home).clusters.labelled[home // 2] = labelled

    def names_of(self, nodes: Slots) -> Names:
        """The name of each node's published cluster, None where it is in none."""
        table = self._graph.nodes
        part, cluster = table.part[nodes], table.cluster[nodes]
        names = self._clusters.clusters.name[cluster]
        names[cluster < 0] = None
        inside = part >= 0
        names[inside] = self.parts.clusters.name[part[inside]]
        return names

    def moved(self) -> Slots:
        """The nodes whose published cluster, or its name, may have changed in this batch."""
        return unique(self._clusters.moved(), self.parts.moved())

    def before(self) -> dict[str, int]:
        """The sizes of the published clusters that the batch touched, as they were before it, by name."""
        as_dbscan_had_them = {
            row: said for row, said in self._clusters.before.items() if row not in self._were_in_parts
        }
        newly_in_parts = self._are_in_parts - self._were_in_parts - self._clusters.before.keys()
        said = [*as_dbscan_had_them.values(), *_said(self._clusters, newly_in_parts), *self.parts.before.values()]
        return {name: size for name, size in said if name is not None}

    def after(self) -> dict[str, int]:
        """The sizes of the published clusters that the batch touched, as they are now, by name."""
        as_dbscan_has_them = (self._clusters.before.keys() | self._were_in_parts) - self._are_in_parts
        said = [*_said(self._clusters, as_dbscan_has_them), *_said(self.parts, self.parts.before)]
        return {name: size for name, size in said if name is not None and size}

    def sizes(self) -> dict[str, int]:
        """The number of faces of every published cluster, by its name."""
        in_parts = self._clusters_in_parts(self._group_of.values())
        as_dbscan_has_them = (row for row in range(self._clusters.clusters.used) if row not in in_parts)
        said = [*_said(self._clusters, as_dbscan_has_them), *_said(self.parts, range(self.parts.clusters.used))]
        return {name: size for name, size in said if name is not None and size}

    def settle(self) -> None:
        """The batch is over."""
        self.parts.settle()
        self._were_in_parts, self._are_in_parts = set(), set()

    def _membership(self, home: int) -> Membership:
        return self.parts if home % 2 else self._clusters

    def _groups_at(self, nodes: Slots) -> set[_Held]:
        """The groups of nodes: where they are, and where they were as single nodes."""
        if not self._group_of:
            return set()
        return self._groups_of({*self._graph.nodes.cluster[nodes].tolist(), *(-2 - nodes).tolist()})

    def _groups_of(self, units: Iterable[_Unit]) -> set[_Held]:
        return {self._group_of[unit] for unit in units if unit in self._group_of}

    def _unit_of(self, node: int) -> _Unit:
        cluster = int(self._graph.nodes.cluster[node])
        return -2 - node if cluster == _NO_UNIT else cluster

    def _hanging_together(self, dirty: set[_Held], decided: list[int]) -> set[int]:
        """The ends of the groups that are to be made anew; `dirty` grows by the groups that links bring in."""
        ends: set[int] = set()
        waiting = [*decided, *(end for group in dirty for end in group.ends)]
        while waiting:
            node = waiting.pop()
            if node in ends or not self._graph.nodes.live[node] or not self._decided.is_end(node):
                continue
            ends.add(node)
            waiting += self._decided.partners(node)
            for group in self._groups_of([self._unit_of(node)]) - dirty:
                dirty.add(group)
                waiting += group.ends
        return ends

    def _made_of(self, ends: list[int]) -> list[_Held]:
        """The groups that these nodes, and the links between them, make."""
        unit_of = {node: self._unit_of(node) for node in ends}
        units = list(dict.fromkeys(unit_of.values()))
        place = {unit: i for i, unit in enumerate(units)}
        linked = [[place[unit_of[one]], place[unit_of[other]]] for one, other in self._decided.linked(ends).tolist()]
        group_of = constrained_linkage.groups(len(units), np.array(linked, dtype=np.int64).reshape(-1, 2)).tolist()
        made: dict[int, _Held] = {}
        for unit, number in zip(units, group_of, strict=True):
            made.setdefault(number, _Held(set(), [])).units.add(unit)
        for node in ends:
            made[group_of[place[unit_of[node]]]].ends.append(node)
        return list(made.values())

    def _put_into_parts(self, former: Slots, made: list[_Held]) -> None:
        """Put the nodes of groups in which decisions make a difference into parts; take `former` ones out of theirs."""
        nodes, targets = [former], [np.full(len(former), -1)]
        for group in made:
            separated = self._decided.separated(group.ends)
            if len(group.units) > 1 or len(separated):
                members = self._members_of(group)
                # Without separations a group is one part, as `divide` would find.
                divided = self._divided(group, members, separated) if len(separated) else np.zeros(len(members))
                _, part = np.unique(divided, return_inverse=True)
                group.parts = self.parts.create(int(part.max()) + 1)
                nodes.append(members)
                targets.append(group.parts[part])
        # A node of a former part may be in a new one: the last word on it counts.
        every, last = np.unique(np.concatenate(nodes)[::-1], return_index=True)
        self.parts.move(every, np.concatenate(targets)[::-1][last])

    def _members_of(self, group: _Held) -> Slots:
        rows = np.array(sorted(unit for unit in group.units if unit >= 0), dtype=np.int64)
        singles = np.array([-2 - unit for unit in group.units if unit < _NO_UNIT], dtype=np.int64)
        return unique(self._clusters.members.read(rows)[1], singles)

    def _divided(self, group: _Held, members: Slots, separated: Slots) -> Slots:
        nodes, edges = self._graph.nodes, self._graph.edges
        place = nodes.mark
        place[members] = np.arange(len(members))
        owners, links, others = self._graph.neighbours(members)
        once = (owners < others) & (place[others] >= 0)
        divided = constrained_linkage.divide(
            Group(
                face_ids=nodes.face_id[members],
                core=nodes.core[members],
                one=place[owners[once]].astype(np.int64),
                other=place[others[once]].astype(np.int64),
                distances=edges.distance[links[once]],
                linked=place[self._decided.linked(group.ends)].astype(np.int64),
                separated=place[separated].astype(np.int64),
            )
        )
        place[members] = -1
        return divided

    def _clusters_in_parts(self, groups: Iterable[_Held]) -> set[int]:
        return {unit for group in groups if len(group.parts) for unit in group.units if unit >= 0}


def _said(membership: Membership, rows: Iterable[int]) -> list[tuple[str | None, int]]:
    """Name and size of each of these clusters, as they are now."""
    slots = np.array(sorted(rows), dtype=np.int64)
    return list(zip(membership.clusters.name[slots].tolist(), membership.members.sizes[slots].tolist(), strict=True))

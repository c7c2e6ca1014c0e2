"""Hard and soft labels: what archivists named, and what that suggests for the other faces of a cluster.

Labels are propagated within published clusters only, and only in those that a batch has changed and that have a name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from clustering.columns.arrays import NO_SLOTS, Mask, Slots, unique
from clustering.graph import Graph
from clustering.live_decisions import LiveDecisions
from clustering.propagation import Probabilities, propagate
from clustering.published_clusters import PublishedClusters
from decisions.holding import FaceLabels

# What is told of a distribution: so many names, with so many digits.
_TOP = 5
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a face: the hard one, or a distribution over the hard ones of its cluster, the best first."""

    hard: str | None
    distribution: tuple[tuple[str, float], ...] = ()


class Labelling:
    """Keeps the column `labels` of the graph's nodes: Labels, or None for a face that has none."""

    def __init__(self, graph: Graph, grouping: PublishedClusters, decided: LiveDecisions) -> None:
        """`graph`, `grouping` and `decided` are of one clustering."""
        self._graph = graph
        self._grouping = grouping
        self._decided = decided

    def update(self, touched: Slots, decided: Slots) -> Slots:
        """Bring the labels up to date where nodes were touched, or decided on. The nodes that were looked at."""
        if not len(self._decided.decisions):
            return NO_SLOTS
        nodes, grouping = self._graph.nodes, self._grouping
        moved = unique(grouping.moved(), decided)
        moved = moved[nodes.live[moved]]
        bearing = moved[nodes.decided[moved] | self._are_labelled(moved)]
        homes = grouping.homes(bearing)
        for home in unique(homes[homes >= 0]).tolist():
            grouping.note_labelled(home, True)
        outside = bearing[homes < 0]
        nodes.labels[outside] = [_hard_of(it) for it in self._decided_of(outside)]

        changed = {*unique(grouping.homes(touched), grouping.homes(moved)).tolist(), *grouping.touched_homes()} - {-1}
        looked_at = [outside]
        for home in sorted(changed):
            if grouping.may_be_labelled(home):
                members = grouping.members(home)
                self._label(members)
                grouping.note_labelled(home, bool(self._are_labelled(members).any()))
                looked_at.append(members)
        return unique(*looked_at)

    def _label(self, members: Slots) -> None:
        """Label the faces of a cluster, taken in the order of their ids: sums of floats depend on their order."""
        nodes = self._graph.nodes
        members = members[np.argsort(nodes.face_id[members])]
        decided = np.flatnonzero(nodes.decided[members])
        faces = dict(zip(decided.tolist(), self._decided_of(members[decided]), strict=True))
        names = sorted({it.hard for it in faces.values() if it.hard is not None})
        hard = np.full(len(members), -1, dtype=np.int64)
        rejected = np.zeros((len(members), len(names)), dtype=np.bool_)
        for place, face in faces.items():
            if face.hard is not None:
                hard[place] = names.index(face.hard)
            rejected[place] = [name in face.rejected for name in names]
        nodes.labels[members] = None
        if names:
            found = propagate(self._weights(members), hard, rejected)
            nodes.labels[members] = _told(found, hard, names)

    def _weights(self, members: Slots) -> csr_array:
        """How alike the faces of a cluster are: exp(-2 d^2 / eps^2) for neighbours at distance d, and 1 for a link."""
        nodes, edges = self._graph.nodes, self._graph.edges
        place = nodes.mark
        place[members] = np.arange(len(members))
        owners, links, others = self._graph.neighbours(members)
        inside = place[others] >= 0
        alike = np.exp(-2.0 * (edges.distance[links[inside]] / self._graph.parameters.eps) ** 2)
        linked = self._decided.linked([node for node in members.tolist() if self._decided.is_end(node)])
        rows = place[np.concatenate([owners[inside], linked[:, 0], linked[:, 1]])]
        columns = place[np.concatenate([others[inside], linked[:, 1], linked[:, 0]])]
        place[members] = -1
        values = np.concatenate([alike, np.ones(2 * len(linked))])
        return csr_array(coo_array((values, (rows, columns)), (len(members), len(members))))

    def _are_labelled(self, nodes: Slots) -> Mask:
        return np.array([it is not None for it in self._graph.nodes.labels[nodes].tolist()], dtype=np.bool_)

    def _decided_of(self, nodes: Slots) -> list[FaceLabels]:
        return [self._decided.decisions.labels(face_id) for face_id in self._graph.nodes.face_id[nodes].tolist()]


def _hard_of(face: FaceLabels) -> Labels | None:
    return None if face.hard is None else Labels(face.hard)


def _told(found: Probabilities, hard: Slots, names: list[str]) -> list[Labels | None]:
    """Probabilities as they are told, a face a row. Faces of the same labels share one value."""
    rounded = found.round(_DIGITS)
    best = np.argsort(-rounded, axis=1, kind="stable")[:, :_TOP]
    top = np.take_along_axis(rounded, best, axis=1)
    known: dict[tuple[int, bytes, bytes], Labels | None] = {}
    told = []
    for its_hard, its_best, its_top in zip(hard.tolist(), best, top, strict=True):
        key = (its_hard, its_best.tobytes(), its_top.tobytes())
        if key not in known:
            likely = tuple(
                (names[name], value) for name, value in zip(its_best.tolist(), its_top.tolist(), strict=True) if value
            )
            known[key] = Labels(names[its_hard]) if its_hard >= 0 else Labels(None, likely) if likely else None
        told.append(known[key])
    return told

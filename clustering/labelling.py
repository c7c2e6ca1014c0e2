"""Hard and soft labels: the names that archivists gave, and what they suggest for the other faces of a cluster.

Labels are propagated within published clusters only, and only in those that a batch changed and that hold a name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from clustering.columns.arrays import Mask, Slots, unique
from clustering.graph import Graph
from clustering.live_decisions import LiveDecisions
from clustering.propagation import Probabilities, affinity, propagate
from clustering.published_clusters import PublishedClusters
from decisions.holding import FaceLabels

# A published distribution has at most so many labels, with probabilities of so many digits.
_MAX_LABELS = 5
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a face: the hard one, or a distribution over the hard ones of its cluster, most likely first."""

    hard: str | None
    distribution: tuple[tuple[str, float], ...] = ()


class Labelling:
    """Owns the nodes' column `labels`: Labels, or None for a face that has none."""

    def __init__(self, graph: Graph, published_clusters: PublishedClusters, live_decisions: LiveDecisions) -> None:
        """All of one clustering."""
        self._graph = graph
        self._published_clusters = published_clusters
        self._live_decisions = live_decisions

    def clear(self, removed: Slots) -> None:
        """Remove the labels of nodes that ceased to be live."""
        self._graph.nodes.labels[removed] = None

    def update(self, touched: Slots, decided: Slots) -> Slots:
        """Update labels in the clusters of nodes that a batch touched, or for which other decisions hold now.

        Returns the nodes whose labels may have changed. Cost: the size of each of these clusters that holds a name.
        """
        nodes, clusters = self._graph.nodes, self._published_clusters
        moved = unique(clusters.moved(), decided)
        moved = moved[nodes.live[moved]]
        # Clusters that named or labelled nodes have joined may have labels from now on.
        labelled = moved[nodes.decided[moved] | self._are_labelled(moved)]
        keys = clusters.keys_of(labelled)
        for key in unique(keys[keys >= 0]).tolist():
            clusters.set_labelled(key, True)
        noise = labelled[keys < 0]
        nodes.labels[noise] = [_hard_only(decisions) for decisions in self._decisions_on(noise)]

        changed = {*unique(clusters.keys_of(touched), clusters.keys_of(moved)).tolist(), *clusters.touched_keys()}
        updated = [noise]
        for key in sorted(changed - {-1}):
            if clusters.may_be_labelled(key):
                members = clusters.members(key)
                self._label(members)
                clusters.set_labelled(key, bool(self._are_labelled(members).any()))
                updated.append(members)
        return unique(*updated)

    def _label(self, members: Slots) -> None:
        """Label the faces of a cluster, in the order of their ids: sums of floats depend on their order."""
        nodes = self._graph.nodes
        members = members[np.argsort(nodes.face_id[members])]
        decided = np.flatnonzero(nodes.decided[members])
        decisions_on = dict(zip(decided.tolist(), self._decisions_on(members[decided]), strict=True))
        label_ids = sorted({decisions.hard for decisions in decisions_on.values() if decisions.hard is not None})
        hard = np.full(len(members), -1, dtype=np.int64)
        rejected = np.zeros((len(members), len(label_ids)), dtype=np.bool_)
        for position, decisions in decisions_on.items():
            if decisions.hard is not None:
                hard[position] = label_ids.index(decisions.hard)
            rejected[position] = [label_id in decisions.rejected for label_id in label_ids]
        nodes.labels[members] = None
        if label_ids:
            probabilities = propagate(self._affinity(members), hard, rejected)
            nodes.labels[members] = _as_labels(probabilities, hard, label_ids)

    def _affinity(self, members: Slots) -> csr_array:
        """The similarities along which labels spread between the faces of a cluster, from neighbours and must-links."""
        nodes = self._graph.nodes
        owners, edges, others = self._graph.neighbours(members)
        must_links = self._live_decisions.must_links(
            [node for node in members.tolist() if self._live_decisions.is_constrained(node)]
        )
        with nodes.marks() as positions:
            positions.number(members)
            inside = positions[others] >= 0
            return affinity(
                len(members),
                positions[owners[inside]],
                positions[others[inside]],
                self._graph.edges.distance[edges[inside]],
                positions[must_links],
                self._graph.parameters.eps,
            )

    def _are_labelled(self, nodes: Slots) -> Mask:
        return np.array([labels is not None for labels in self._graph.nodes.labels[nodes].tolist()], dtype=np.bool_)

    def _decisions_on(self, nodes: Slots) -> list[FaceLabels]:
        decisions = self._live_decisions.decisions
        return [decisions.labels(face_id) for face_id in self._graph.nodes.face_id[nodes].tolist()]


def _hard_only(decisions: FaceLabels) -> Labels | None:
    return None if decisions.hard is None else Labels(decisions.hard)


def _as_labels(probabilities: Probabilities, hard: Slots, label_ids: list[str]) -> list[Labels | None]:
    """Probabilities, shape (n, k), as they are published, one value for each face. Equal values are shared."""
    rounded = probabilities.round(_DIGITS)
    best = np.argsort(-rounded, axis=1, kind="stable")[:, :_MAX_LABELS]
    top = np.take_along_axis(rounded, best, axis=1)
    known: dict[tuple[int, bytes, bytes], Labels | None] = {}
    result = []
    for face_hard, face_best, face_top in zip(hard.tolist(), best, top, strict=True):
        key = (face_hard, face_best.tobytes(), face_top.tobytes())
        if key not in known:
            distribution = tuple(
                (label_ids[number], value)
                for number, value in zip(face_best.tolist(), face_top.tolist(), strict=True)
                if value
            )
            if face_hard >= 0:
                known[key] = Labels(label_ids[face_hard])
            else:
                known[key] = Labels(None, distribution) if distribution else None
        result.append(known[key])
    return result

"""Hard and soft labels: the names that archivists gave, and what they suggest for the other faces of a cluster.

Labels are propagated within published clusters only, and only in those that a batch changed and that hold a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array, csr_array

from clustering.certainty import CALIBRATED, EUCLIDEAN, along_best_paths, edge_probabilities
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
    """The labels of a face: the hard one, or a distribution over the hard ones of its cluster, most likely first.

    What the distribution lacks to 1 is the probability of somebody else.
    """

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
        number_of = {label_id: number for number, label_id in enumerate(label_ids)}
        hard = np.full(len(members), -1, dtype=np.int64)
        rejections = []
        for position, decisions in decisions_on.items():
            if decisions.hard is not None:
                hard[position] = number_of[decisions.hard]
            rejections += [(position, number_of[label_id]) for label_id in decisions.rejected & number_of.keys()]
        nodes.labels[members] = None
        if label_ids:
            where = np.array(rejections, dtype=np.int64).reshape(-1, 2)
            shape = (len(members), len(label_ids))
            rejected = csc_array((np.ones(len(where), dtype=np.bool_), (where[:, 0], where[:, 1])), shape)
            nodes.labels[members] = _as_labels(self._probabilities(members, hard, rejected), hard, label_ids)

    def _probabilities(self, members: Slots, hard: Slots, rejected: csc_array) -> Iterator[Probabilities]:
        """The probability that a face has each name, for some names at a time: shape (n, b).

        How sure it is that a face is the person of the nearest named face, divided among the names as walks from the
        face end at them.
        """
        distances, must_links = self._neighbours(members)
        parameters = self._graph.parameters
        curve = EUCLIDEAN.stretched(parameters.unit) if parameters.reference is None else CALIBRATED
        edges = edge_probabilities(distances, must_links, curve)
        is_nobody = np.bincount(rejected.indices, minlength=len(members)) == rejected.shape[1]
        certainty = along_best_paths(edges, np.flatnonzero(hard >= 0), is_nobody)
        if rejected.shape[1] == 1 and not rejected.nnz:
            # With one name and no rejection every walk that ends has met that name.
            yield certainty[:, None]
            return
        for shares in propagate(affinity(distances, must_links, parameters.eps), hard, rejected):
            yield shares * certainty[:, None]

    def _neighbours(self, members: Slots) -> tuple[csr_array, Slots]:
        """What labels spread along between the faces of a cluster: the distances of neighbours, and the must-links.

        Both by the faces' positions; each pair of neighbours in both directions, each must-link once.
        """
        nodes = self._graph.nodes
        owners, edges, others = self._graph.neighbours(members)
        must_links = self._live_decisions.must_links(
            [node for node in members.tolist() if self._live_decisions.is_constrained(node)]
        )
        with nodes.marks() as positions:
            positions.number(members)
            inside = positions[others] >= 0
            # Row by row, as `neighbours` returns them.
            columns, rows = positions[others[inside]], positions[owners[inside]]
            starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(members)))])
            lengths = self._graph.edges.distance[edges[inside]]
            distances = csr_array((lengths, columns, starts), shape=(len(members), len(members)))
            distances.sort_indices()
            return distances, positions[must_links].astype(np.int64)

    def _are_labelled(self, nodes: Slots) -> Mask:
        return np.array([labels is not None for labels in self._graph.nodes.labels[nodes].tolist()], dtype=np.bool_)

    def _decisions_on(self, nodes: Slots) -> list[FaceLabels]:
        decisions = self._live_decisions.decisions
        return [decisions.labels(face_id) for face_id in self._graph.nodes.face_id[nodes].tolist()]


def _hard_only(decisions: FaceLabels) -> Labels | None:
    return None if decisions.hard is None else Labels(decisions.hard)


def _as_labels(parts: Iterable[Probabilities], hard: Slots, label_ids: list[str]) -> list[Labels | None]:
    """Probabilities as they are published, one value for each face. Equal values are shared.

    parts: for some names at a time, in their order, the probabilities of all faces, shape (n, b).
    """
    best, top = _most_probable(parts, len(hard))
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


def _most_probable(parts: Iterable[Probabilities], count: int) -> tuple[Slots, Probabilities]:
    """The numbers of each face's most probable names, and their probabilities as published: shape (count, at most 5).

    Of equally probable names the first one comes first.
    """
    numbers, values = np.empty((count, 0), dtype=np.int64), np.empty((count, 0))
    first = 0
    for part in parts:
        width = part.shape[1]
        some = np.broadcast_to(np.arange(first, first + width), part.shape)
        numbers, values = np.concatenate([numbers, some], axis=1), np.concatenate([values, part.round(_DIGITS)], axis=1)
        best = np.argsort(-values, axis=1, kind="stable")[:, :_MAX_LABELS]
        numbers, values = np.take_along_axis(numbers, best, axis=1), np.take_along_axis(values, best, axis=1)
        first += width
    return numbers, values

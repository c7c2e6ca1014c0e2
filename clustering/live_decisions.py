"""The decisions of archivists on the graph: which live nodes they are about.

Links are must-links here, separations cannot-links (Wagstaff et al. 2001).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from clustering.columns.arrays import NO_SLOTS, Slots
from clustering.graph import Graph
from decisions.holding import DecisionDeleted, Decisions
from schemas.decisions import Decision


class LiveDecisions:
    """Decisions, and the live node of every face for which one holds. Owns the nodes' column `decided`.

    A decision about a face without a live node takes effect when the face gets one. What is not a face has none.
    """

    def __init__(self, graph: Graph) -> None:
        """Without decisions."""
        self.decisions = Decisions()
        self._graph = graph
        self._node_of: dict[str, int] = {}
        # Of the batch: the faces for which other decisions may hold, and those that are to cease being live, or may be.
        self._changed: set[str] = set()
        self.exclude: set[str] = set()
        self.include: set[str] = set()

    def apply(self, batch: Sequence[Decision | DecisionDeleted]) -> None:
        """Take in decisions. `exclude` and `include` follow from them, and then `update`."""
        self._changed = self.decisions.apply(batch) if batch else set()
        # Those that are excluded without a decision were so in a snapshot.
        excluded = self._graph.excluded
        self.exclude = {face_id for face_id in self._changed if self._is_none(face_id)} - excluded
        self.include = {face_id for face_id in excluded if not self._is_none(face_id)}

    def update(self, added: Slots, removed: Slots) -> Slots:
        """Take in nodes that became live or ceased to be, after the decisions of the same batch.

        Returns the live nodes for which other decisions may hold now than before.
        """
        if not self._changed and not len(self.decisions):
            return NO_SLOTS
        nodes = self._graph.nodes
        for face_id, node in zip(nodes.face_id[removed].tolist(), removed.tolist(), strict=True):
            if self._node_of.get(face_id) == node:
                del self._node_of[face_id]
        nodes.decided[removed] = False
        added_faces = dict(zip(nodes.face_id[added].tolist(), added.tolist(), strict=True))
        changed = {face_id: node for face_id, node in added_faces.items() if self.decisions.affect(face_id)}
        changed |= self._graph.node_index.live(self._changed)
        for face_id, node in changed.items():
            if self.decisions.affect(face_id):
                self._node_of[face_id] = node
            else:
                self._node_of.pop(face_id, None)
            nodes.decided[node] = self.decisions.labels(face_id).is_decided
        return np.fromiter(changed.values(), np.int64, len(changed))

    def must_links(self, nodes: Sequence[int]) -> Slots:
        """The must-links between these live nodes: shape (n, 2), each pair once, in the order of the decisions."""
        faces = self._faces(nodes)
        pairs = sorted(
            (order, face, other)
            for face in faces
            for other, order in self.decisions.linked(face).items()
            if face < other and other in faces
        )
        return _pairs((faces[face], faces[other]) for _, face, other in pairs)

    def cannot_links(self, nodes: Sequence[int]) -> Slots:
        """The cannot-links between these live nodes: shape (n, 2), each pair once, by face ids."""
        faces = self._faces(nodes)
        pairs = sorted(
            (face, other)
            for face in faces
            for other in self.decisions.separated(face)
            if face < other and other in faces
        )
        return _pairs((faces[face], faces[other]) for face, other in pairs)

    def must_linked_with(self, node: int) -> list[int]:
        """The live nodes that have a must-link with a live node."""
        others = self.decisions.linked(self._graph.nodes.face_id[node])
        return [self._node_of[face_id] for face_id in others if face_id in self._node_of]

    def constrained_nodes(self) -> list[int]:
        """All live nodes that have a must-link or cannot-link, be its other face live or not."""
        return [node for node in self._node_of.values() if self.is_constrained(node)]

    def is_constrained(self, node: int) -> bool:
        """Whether a live node has a must-link or cannot-link, be its other face live or not."""
        face_id = self._graph.nodes.face_id[node]
        return bool(self.decisions.linked(face_id) or self.decisions.separated(face_id))

    def _is_none(self, face_id: str) -> bool:
        return self.decisions.labels(face_id).not_a_face

    def _faces(self, nodes: Sequence[int]) -> dict[str, int]:
        face_ids = self._graph.nodes.face_id[np.array(nodes, dtype=np.int64)].tolist()
        return dict(zip(face_ids, nodes, strict=True))


def _pairs(pairs: Iterable[tuple[int, int]]) -> Slots:
    return np.array(list(pairs), dtype=np.int64).reshape(-1, 2)

"""The decisions of archivists on the graph: which of its nodes they are about now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from clustering.columns.arrays import NO_SLOTS, Slots
from clustering.graph import Graph
from decisions.holding import DecisionDeleted, Decisions
from schemas.decisions import Decision


class LiveDecisions:
    """Decisions, and the live node of every face for which one holds. A decision about any other face waits for it."""

    def __init__(self, graph: Graph) -> None:
        """No decisions."""
        self.decisions = Decisions()
        self._graph = graph
        self._node_of: dict[str, int] = {}

    def update(self, said: Sequence[Decision | DecisionDeleted], born: Slots, died: Slots) -> Slots:
        """Take decisions in, and follow what became of nodes. The live nodes for which what is decided may differ."""
        if not said and not len(self.decisions):
            return NO_SLOTS
        nodes = self._graph.nodes
        faces = self.decisions.apply(said)
        for face_id, node in zip(nodes.face_id[died].tolist(), died.tolist(), strict=True):
            if self._node_of.get(face_id) == node:
                del self._node_of[face_id]
        nodes.decided[died] = False
        came = dict(zip(nodes.face_id[born].tolist(), born.tolist(), strict=True))
        changed = {face_id: node for face_id, node in came.items() if self.decisions.affect(face_id)}
        changed |= self._graph.live_nodes(faces)
        for face_id, node in changed.items():
            if self.decisions.affect(face_id):
                self._node_of[face_id] = node
            else:
                self._node_of.pop(face_id, None)
            nodes.decided[node] = self.decisions.labels(face_id).is_decided
        return np.fromiter(changed.values(), np.int64, len(changed))

    def linked(self, nodes: Sequence[int]) -> Slots:
        """Pairs of these live nodes that are linked: shape (n, 2), each once, in the order of the decisions."""
        faces = self._faces(nodes)
        pairs = sorted(
            (order, face, other)
            for face in faces
            for other, order in self.decisions.linked(face).items()
            if face < other and other in faces
        )
        return _pairs((faces[face], faces[other]) for _, face, other in pairs)

    def separated(self, nodes: Sequence[int]) -> Slots:
        """Pairs of these live nodes that are separated: shape (n, 2), each once, by face ids."""
        faces = self._faces(nodes)
        pairs = sorted(
            (face, other)
            for face in faces
            for other in self.decisions.separated(face)
            if face < other and other in faces
        )
        return _pairs((faces[face], faces[other]) for face, other in pairs)

    def partners(self, node: int) -> list[int]:
        """The live nodes that a live node is linked with."""
        others = self.decisions.linked(self._graph.nodes.face_id[node])
        return [self._node_of[face_id] for face_id in others if face_id in self._node_of]

    def ends(self) -> list[int]:
        """All live nodes that are linked with or separated from some face, live or not."""
        return [node for node in self._node_of.values() if self.is_end(node)]

    def is_end(self, node: int) -> bool:
        """Whether a live node is linked with or separated from some face, live or not."""
        face_id = self._graph.nodes.face_id[node]
        return bool(self.decisions.linked(face_id) or self.decisions.separated(face_id))

    def _faces(self, nodes: Sequence[int]) -> dict[str, int]:
        face_ids = self._graph.nodes.face_id[np.array(nodes, dtype=np.int64)].tolist()
        return dict(zip(face_ids, nodes, strict=True))


def _pairs(pairs: Iterable[tuple[int, int]]) -> Slots:
    return np.array(list(pairs), dtype=np.int64).reshape(-1, 2)

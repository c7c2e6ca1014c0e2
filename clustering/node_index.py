"""The node of each face id and analysis."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from clustering.columns.arrays import NO_SLOTS, Slots
from clustering.columns.name_index import NameIndex
from clustering.nodes import Nodes


class NodeIndex:
    """Finds nodes, and creates those that are missing. Owns the nodes' columns face_id and analysis.

    Nearly every face has one node. So one node of each face id is in a `NameIndex`, which is compact; further nodes of
    the same face, while an old and a new analysis of a scan are both known, are in a dict.
    """

    def __init__(self, nodes: Nodes) -> None:
        """Empty."""
        self._nodes = nodes
        self._by_face = NameIndex(lambda: nodes.face_id)
        self._others: dict[tuple[str, int], int] = {}

    def restore(self) -> None:
        """Index all nodes of the table, which was restored before."""
        self._add(self._nodes.taken())

    def find_or_create(self, face_ids: list[str], analyses: Slots) -> Slots:
        """The nodes of these faces in these analyses, shape (n,). Unknown ones are created, and are not live."""
        slots = self._by_face.find(face_ids)
        missing = np.flatnonzero((slots < 0) | (self._nodes.analysis[slots] != analyses))
        if len(missing):
            keys = [(face_ids[i], int(analyses[i])) for i in missing.tolist()]
            unknown = [key for key in dict.fromkeys(keys) if key not in self._others]
            created = dict(zip(unknown, self._create(unknown).tolist(), strict=True))
            slots[missing] = [created[key] if key in created else self._others[key] for key in keys]
        return slots

    def live(self, face_ids: Iterable[str]) -> dict[str, int]:
        """The live node of each of these faces that has one, by face id."""
        wanted = list(dict.fromkeys(face_ids))
        slots = self._by_face.find(wanted).tolist()
        live = {
            face_id: slot for face_id, slot in zip(wanted, slots, strict=True) if slot >= 0 and self._nodes.live[slot]
        }
        if len(live) < len(wanted):
            missing = set(wanted) - live.keys()
            for (face_id, _), slot in self._others.items():
                if face_id in missing and self._nodes.live[slot]:
                    live[face_id] = slot
        return live

    def all(self, face_ids: Collection[str]) -> Slots:
        """All nodes of these faces, of whichever analysis, in no particular order."""
        if not face_ids:
            return NO_SLOTS
        slots = self._by_face.find(list(face_ids))
        others = [slot for (face_id, _), slot in self._others.items() if face_id in face_ids]
        return np.concatenate([slots[slots >= 0], np.array(others, dtype=np.int64)])

    def remove(self, nodes: Slots) -> None:
        """Remove nodes from the index. Their rows are not released."""
        face_ids = self._nodes.face_id[nodes].tolist()
        in_by_face = self._by_face.find(face_ids) == nodes
        for i in np.flatnonzero(~in_by_face).tolist():
            del self._others[face_ids[i], int(self._nodes.analysis[nodes[i]])]
        self._by_face.remove((face_ids[i] for i in np.flatnonzero(in_by_face).tolist()), nodes[in_by_face])

    def _create(self, keys: list[tuple[str, int]]) -> Slots:
        slots = self._nodes.take(len(keys))
        self._nodes.face_id[slots] = [face_id for face_id, _ in keys]
        self._nodes.analysis[slots] = [analysis for _, analysis in keys]
        self._add(slots)
        return slots

    def _add(self, slots: Slots) -> None:
        """Index nodes: the first one of a face id that is unknown in the `NameIndex`, others in the dict."""
        face_ids = self._nodes.face_id[slots].tolist()
        known = self._by_face.find(face_ids) >= 0
        first: dict[str, int] = {}
        for face_id, slot, is_known in zip(face_ids, slots.tolist(), known.tolist(), strict=True):
            if is_known or first.setdefault(face_id, slot) != slot:
                self._others[face_id, int(self._nodes.analysis[slot])] = slot
        self._by_face.add(first, np.fromiter(first.values(), np.int64, len(first)))

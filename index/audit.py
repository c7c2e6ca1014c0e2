"""The auditor: holds what was found against an exact search, and says more fully what was said with gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.neighbours import FaceNeighbours, NeighboursFound


@dataclass(frozen=True)
class Audit:
    """What an audit saw. `fuller`: the records to publish; `found` of `true` pairs had been said."""

    fuller: tuple[NeighboursFound, ...]
    found: int
    true: int

    @property
    def recall(self) -> float:
        """The share of true pairs that had been said; 1 where there are none."""
        return self.found / self.true if self.true else 1.0


def audit(index: FaceIndex, analysed: Sequence[Analysed], found: Iterable[NeighboursFound]) -> Audit:
    """Search exactly for the faces of these analyses and compare with what was found for them.

    `found` is what this shard published about them, or `index.search(analysed)` to try HNSW as it is now. Only the
    former makes the graph exact: what HNSW finds today it may have missed when the edge was due. An analysis that is
    no longer live is left out, and one without a record counts as found without neighbours.

    An edge is due in the record of its later end, the one that came when the other was there, so a record has to name
    the neighbours of its own and of lower analysis numbers. When all records do, every pair has been said, and each is
    counted once (those within one scan from both ends). Where one is missing, the fuller record has all neighbours.
    """
    said = {(record.scan_id, record.analysis): record for record in found}
    fuller = []
    found_count = true_count = 0
    for record in index.search(analysed, exactly=True):
        earlier = said.get((record.scan_id, record.analysis))
        due = _edges(record.faces, record.analysis)
        kept = due & _edges(earlier.faces, record.analysis) if earlier is not None else set()
        true_count += len(due)
        found_count += len(kept)
        if len(kept) < len(due):
            fuller.append(record)
    return Audit(tuple(fuller), found_count, true_count)


def _edges(faces: Iterable[FaceNeighbours], latest: int) -> set[tuple[str, str, int]]:
    return {
        (face.face_id, neighbour, analysis)
        for face in faces
        for neighbour, analysis in zip(face.neighbours, face.analyses, strict=True)
        if analysis <= latest
    }

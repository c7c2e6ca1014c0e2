"""The audit: compares published records with an exact search, and returns complete ones where pairs are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.neighbours import FaceNeighbours, NeighboursFound

_Edge = tuple[str, str, int]
"""Face, neighbour, the neighbour's analysis."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    corrections: complete records, to be published in place of those that miss pairs. found: how many of the `true`
    pairs of neighbours the records held.
    """

    corrections: tuple[NeighboursFound, ...]
    found: int
    true: int

    @property
    def recall(self) -> float:
        """The share of true pairs that the records held (Manning et al. 2008, section 8.3); 1 where there are none."""
        return self.found / self.true if self.true else 1.0


def audit(index: FaceIndex, analysed: Sequence[Analysed], records: Iterable[NeighboursFound]) -> Audit:
    """Search exactly for the faces of these analyses and compare the result with the records of them.

    `records` are what this shard published about them, or `index.search(analysed)` to measure HNSW as it is now. Only
    the former makes the graph exact: what HNSW finds today it may have missed when the record was published. An
    analysis that is no longer live is left out, and one without a record counts as having none of its neighbours.

    A pair is due in the record of its later end, which was published when both ends were there. So a record has to hold
    the neighbours of its own and of lower analysis numbers. When all records do, every pair is published. Each is
    counted once, those within one scan too. A correction holds all neighbours, of higher numbers too.
    """
    published = {(record.scan_id, record.analysis): record for record in records}
    corrections = []
    found = true = 0
    for exact in index.search(analysed, exactly=True):
        record = published.get((exact.scan_id, exact.analysis))
        due = _edges(exact.faces, exact.analysis)
        held = due & _edges(record.faces, exact.analysis) if record is not None else set()
        true += _pairs(due, exact.analysis)
        found += _pairs(held, exact.analysis)
        if len(held) < len(due):
            corrections.append(exact)
    return Audit(tuple(corrections), found, true)


def _pairs(edges: Iterable[_Edge], analysis: int) -> int:
    """How many pairs these edges of an analysis are. Of two faces on one scan each has an edge to the other, in the
    records of two shards perhaps: the edge from the greater id to the lesser counts."""
    return sum(number != analysis or neighbour < face for face, neighbour, number in edges)


def _edges(faces: Iterable[FaceNeighbours], latest: int) -> set[_Edge]:
    """The edges up to the analysis number `latest`."""
    return {
        (face.face_id, neighbour, analysis)
        for face in faces
        for neighbour, analysis in zip(face.neighbours, face.analyses, strict=True)
        if analysis <= latest
    }

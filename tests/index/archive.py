"""Archives to index in tests, and the neighbourhoods computed anew from all vectors of what is live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from index.entries import Analysed, Withdrawn
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import Box
from schemas.topics import Tombstone

Vectors = npt.NDArray[np.float32]
End = tuple[str, int]
"""Face id, analysis."""
Edges = dict[frozenset[End], float]
"""The two ends of each edge, and the distance."""

_PROVENANCE = Provenance(engine="dlib", detector="a", landmarks="b", embedder="c", upsample=1, max_size=2000)


def analysed(analysis: int, scan_id: str, vectors: Vectors, face_ids: Sequence[str] | None = None) -> Analysed:
    """An analysis of a scan with a face for each vector, `scan_id/0` and on if not named."""
    face_ids = face_ids or [f"{scan_id}/{number}" for number in range(len(vectors))]
    return Analysed(
        analysis,
        ScanAnalysed(
            scan_id=scan_id,
            sha256="0" * 64,
            published_at=datetime(1918, 2, 24, tzinfo=UTC),
            width=600,
            height=400,
            provenance=_PROVENANCE,
            faces=tuple(
                Face(
                    face_id=face_id,
                    box=Box(left=0.1, top=0.1, right=0.2, bottom=0.2),
                    landmarks=(),
                    score=0.9,
                    quality=Quality(size_px=80, sharpness=50),
                    embedding=vector.astype("<f4").tobytes(),
                )
                for face_id, vector in zip(face_ids, vectors, strict=True)
            ),
        ),
    )


def people(faces: int, a_person: int, seed: int = 0) -> Vectors:
    """Faces of people, each about 0.43 from others of the same person and 0.8 from other people, in random order.

    As with real faces, people differ in some 30 dimensions, and the faces of one in some 60.
    """
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(max(faces // a_person, 1), 128)) * 0.145 * np.exp(-np.arange(128) / 30)
    whose = generator.integers(len(centres), size=faces)
    around = generator.normal(size=(faces, 128)) * 0.054 * np.exp(-np.arange(128) / 60)[::-1]
    return (centres[whose] + around).astype(np.float32)


def scans_of(vectors: Vectors, faces_a_scan: int = 2) -> list[Analysed]:
    """A log of scans with these faces, so many on each."""
    return [
        analysed(number, f"scan-{number}", vectors[start : start + faces_a_scan])
        for number, start in enumerate(range(0, len(vectors), faces_a_scan))
    ]


def live(log: Iterable[Analysed | Withdrawn]) -> list[Analysed]:
    """The last analysis of each scan that is not withdrawn."""
    last: dict[str, Analysed | Withdrawn] = {entry.scan_id: entry for entry in log}
    return [entry for entry in last.values() if isinstance(entry, Analysed)]


def true_edges(entries: Sequence[Analysed], eps_max: float = 0.5) -> Edges:
    """All pairs of faces of these analyses within eps_max, from all distances in float64."""
    ends = [(face.face_id, entry.analysis) for entry in entries for face in entry.scan.faces]
    if not ends:
        return {}
    vectors = np.concatenate([entry.vectors for entry in entries]).astype(np.float64)
    distances = cdist(vectors, vectors)
    rows, columns = np.nonzero(np.triu(distances <= eps_max, k=1))
    return {
        frozenset((ends[row], ends[column])): float(distances[row, column])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }


def edges_said(said: Iterable[NeighboursFound | Tombstone], entries: Sequence[Analysed]) -> Edges:
    """What a reader of `neighbours` knows: of the last record of each key the edges whose two ends are live.

    Asserts on the way that an edge has one distance, whoever said it.
    """
    last = {record.key: record for record in said}
    ends = {(face.face_id, entry.analysis) for entry in entries for face in entry.scan.faces}
    edges: Edges = {}
    for record in last.values():
        if isinstance(record, Tombstone):
            continue
        for face in record.faces:
            columns = zip(face.neighbours, face.analyses, face.distances, strict=True)
            for neighbour, analysis, distance in columns:
                edge = frozenset(((face.face_id, record.analysis), (neighbour, analysis)))
                if edge <= ends:
                    assert edges.setdefault(edge, distance) == distance
    return edges


def in_batches(log: Sequence[Analysed | Withdrawn], size: int) -> list[Sequence[Analysed | Withdrawn]]:
    """The log in pieces of `size` entries."""
    return [log[start : start + size] for start in range(0, len(log), size)]

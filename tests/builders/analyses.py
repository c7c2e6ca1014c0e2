"""Analyses to index, and the neighbourhoods computed directly from all vectors of live faces."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from index.entries import Analysed, Withdrawn
from schemas.base import DLIB_EMBEDDER
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import Box
from schemas.topics import Tombstone
from tests.builders.clock import NOON

Vectors = npt.NDArray[np.float32]
End = tuple[str, int]
"""Face id, analysis."""
Edges = dict[frozenset[End], float]
"""The two ends of each edge, and the distance."""
Log = list[Analysed | Withdrawn]

_RANDOM_SCANS = 9
_GRID = 0.25  # its spacing: faces lie on it, so that distances tie and faces coincide
_PROVENANCE = Provenance(engine="dlib", detector="a", landmarks="b", embedder=DLIB_EMBEDDER, upsample=1, max_size=2000)


def analysed(
    analysis: int,
    scan_id: str,
    vectors: Vectors,
    face_ids: Sequence[str] | None = None,
    embedder: str = DLIB_EMBEDDER,
) -> Analysed:
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
            provenance=_PROVENANCE.model_copy(update={"embedder": embedder}),
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


def one_face_scan(number: int, vector: np.ndarray, embedder: str = DLIB_EMBEDDER) -> ScanAnalysed:
    """Scan `scan-0007` with a face `face-0007`, published so many seconds after noon."""
    face = Face(
        face_id=f"face-{number:04}",
        box=Box(left=0.1, top=0.1, right=0.9, bottom=0.9),
        landmarks=((0.5, 0.5),) * 5,
        score=1.0,
        quality=Quality(size_px=100, sharpness=100),
        embedding=vector.astype("<f4").tobytes(),
    )
    return ScanAnalysed(
        scan_id=f"scan-{number:04}",
        sha256="0" * 64,
        published_at=NOON + timedelta(seconds=number),
        width=250,
        height=250,
        provenance=_PROVENANCE.model_copy(update={"embedder": embedder}),
        faces=(face,),
    )


def one_face_scans(vectors: np.ndarray, first: int = 0, embedder: str = DLIB_EMBEDDER) -> list[ScanAnalysed]:
    """A scan for each embedding, numbered from `first` on."""
    return [one_face_scan(number, vector, embedder) for number, vector in enumerate(vectors, first)]


def people(faces: int, a_person: int, seed: int = 0) -> Vectors:
    """Faces of people, each about 0.43 from others of the same person and 0.8 from other people, in random order.

    As with real faces, people differ in some 30 dimensions, and the faces of one in some 60.
    """
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(max(faces // a_person, 1), 128)) * 0.145 * np.exp(-np.arange(128) / 30)
    whose = generator.integers(len(centres), size=faces)
    around = generator.normal(size=(faces, 128)) * 0.054 * np.exp(-np.arange(128) / 60)[::-1]
    return (centres[whose] + around).astype(np.float32)


@dataclass(frozen=True)
class Album:
    """Embeddings of people, one person's after the other's, and who they are."""

    vectors: Vectors
    names: list[str]


def album(faces: int, a_person: int, seed: int = 0) -> Album:
    """Faces of people, some of whom always look alike and some of whom never do.

    As with real faces, every eps from 0.3 to 0.5 gives other clusters: the larger it is, the more faces of a person
    are together; and the faces of some people are near those of others.
    """
    generator = np.random.default_rng(seed)
    whose = np.arange(faces) // a_person
    count = int(whose[-1]) + 1
    centres = generator.normal(size=(count, 128)) * 0.12 * np.exp(-np.arange(128) / 30)
    spreads = generator.uniform(0.03, 0.06, size=count)
    around = generator.normal(size=(faces, 128)) * np.exp(-np.arange(128) / 60)[::-1]
    vectors = centres[whose] + around * spreads[whose, None]
    return Album(vectors.astype(np.float32), [f"person-{number:03}" for number in whose.tolist()])


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


def edges_in(records: Iterable[NeighboursFound | Tombstone], entries: Sequence[Analysed]) -> Edges:
    """What a reader of `neighbours` knows: of the last record of each key the edges whose two ends are live.

    An edge with two distances is a ValueError: both records must give the same one.
    """
    last = {record.key: record for record in records}
    ends = {(face.face_id, entry.analysis) for entry in entries for face in entry.scan.faces}
    edges: Edges = {}
    for record in last.values():
        if isinstance(record, Tombstone):
            continue
        for face in record.faces:
            columns = zip(face.neighbours, face.analyses, face.distances, strict=True)
            for neighbour, analysis, distance in columns:
                edge = frozenset(((face.face_id, record.analysis), (neighbour, analysis)))
                if edge <= ends and edges.setdefault(edge, distance) != distance:
                    raise ValueError(f"{edge} has the distances {edges[edge]} and {distance}")
    return edges


def in_batches(log: Sequence[Analysed | Withdrawn], size: int) -> list[Sequence[Analysed | Withdrawn]]:
    """The log in pieces of `size` entries."""
    return [log[start : start + size] for start in range(0, len(log), size)]


def random_log(rng: random.Random, steps: int) -> Log:
    """A history of scans with up to four faces: published, analysed again (faces keep their ids), withdrawn."""
    log: Log = []
    minutes = [rng.randrange(4) for _ in range(_RANDOM_SCANS)]
    for analysis in range(steps):
        scan = rng.randrange(_RANDOM_SCANS)
        if rng.random() < 0.2:
            log.append(Withdrawn(f"scan {scan}"))
            continue
        names = rng.sample([f"{scan}{letter}" for letter in "abcd"], rng.randrange(5))
        log.append(_published_at(analysed(analysis, f"scan {scan}", _on_a_grid(rng, len(names)), names), minutes[scan]))
    return log


def _published_at(entry: Analysed, minute: int) -> Analysed:
    at = entry.scan.published_at + timedelta(minutes=minute)
    return Analysed(entry.analysis, entry.scan.model_copy(update={"published_at": at}))


def _on_a_grid(rng: random.Random, count: int) -> Vectors:
    vectors = np.zeros((count, 128), dtype=np.float32)
    vectors[:, :2] = np.array([[rng.randrange(6), rng.randrange(3)] for _ in range(count)]).reshape(-1, 2) * _GRID
    return vectors

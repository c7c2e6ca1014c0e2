"""Records of `neighbours` as flat columns, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots
from clustering.parameters import Parameters
from schemas.neighbours import FaceNeighbours, NeighboursFound

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class FlatRecords:
    """The faces of some records, and the edges of these faces, both in the order of the records.

    By face, shape (n,): face_ids; face_records, the position of its record; may_be_core, whether it passes the gates.
    By edge, shape (m,): edge_faces, the position of its face; neighbours and analyses, which name the node at the other
    end; distances, float64.
    """

    face_ids: list[str]
    face_records: Slots
    may_be_core: Mask
    edge_faces: Slots
    neighbours: list[str]
    analyses: Slots
    distances: npt.NDArray[np.float64]


def flatten(records: Sequence[NeighboursFound], parameters: Parameters) -> FlatRecords:
    """Flatten records. The quality gates of `parameters` decide which faces may be core.

    Of a record whose distances are measured otherwise, with another reference or between embeddings of another
    embedder, the faces count and the edges do not.
    """
    faces = [face for record in records for face in record.faces]
    with_edges = [
        face if record.measure == parameters.measure else _without_edges(face)
        for record in records
        for face in record.faces
    ]
    counts = np.array([len(face.neighbours) for face in with_edges], dtype=np.int64)
    edges = int(counts.sum())
    return FlatRecords(
        face_ids=[face.face_id for face in faces],
        face_records=np.repeat(np.arange(len(records)), [len(record.faces) for record in records]),
        may_be_core=_may_be_core(faces, parameters),
        edge_faces=np.repeat(np.arange(len(faces)), counts),
        neighbours=list(chain.from_iterable(face.neighbours for face in with_edges)),
        analyses=np.fromiter(chain.from_iterable(face.analyses for face in with_edges), np.int64, edges),
        distances=np.fromiter(chain.from_iterable(face.distances for face in with_edges), np.float64, edges),
    )


def _without_edges(face: FaceNeighbours) -> FaceNeighbours:
    return face.model_copy(update={"neighbours": (), "analyses": (), "distances": ()})


def _may_be_core(faces: Sequence[FaceNeighbours], parameters: Parameters) -> Mask:
    """Which faces pass the quality gates."""
    passed = np.ones(len(faces), dtype=np.bool_)
    if parameters.min_size_px is not None:
        passed &= np.array([face.quality.size_px for face in faces]) >= parameters.min_size_px
    if parameters.min_score is not None:
        passed &= np.array([face.score for face in faces]) >= parameters.min_score
    if parameters.min_sharpness is not None:
        passed &= np.array([face.quality.sharpness for face in faces]) >= parameters.min_sharpness
    return passed


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, UTC. Exact, unlike a float of seconds."""
    return (time - _EPOCH) // _MICROSECOND

"""Compares the ONNX engine with dlib on photographs: faces, boxes, scores, embeddings.

Run it with `python -m benchmarks.engines --parity FOLDER...`. dlib takes seconds per photograph, so whole sets take
minutes to hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.photographs import photographs
from models.analyse import Engine, EngineParameters, load_engine
from models.images import RgbImage, UnreadableImage, decode
from models.protocols import Detection
from models.scaling import scaled_down


@dataclass(frozen=True)
class Row:
    """A folder at one number of doublings: counts, and the largest differences among the faces that both detected.

    Boxes differ in pixels, embeddings in Euclidean distance. `differing` counts photographs with different
    numbers of faces, or a difference above 1 (box), 1e-3 (score) or 1e-4 (embedding).
    """

    folder: str
    upsample: int
    photographs: int
    faces_dlib: int
    faces_onnx: int
    differing: int
    box: float
    score: float
    embedding: float


@dataclass(frozen=True)
class _Difference:
    """Faces that each engine detected on a photograph, and the largest differences."""

    dlib: int
    onnx: int
    box: float
    score: float
    embedding: float

    def matters(self) -> bool:
        return self.dlib != self.onnx or self.box > 1 or self.score > 1e-3 or self.embedding > 1e-4


def compare(folders: Sequence[Path], limit: int | None, max_size: int, provider: str) -> Iterator[Row]:
    """Compare on the photographs of each folder, or `limit` evenly chosen ones, scaled down to `max_size` pixels."""
    dlib = load_engine(EngineParameters(engine="dlib"))
    onnx = load_engine(EngineParameters(provider=provider, threads=1))
    for folder in folders:
        decoded = (_picture(path, max_size) for path in photographs(folder, limit))
        pictures = [picture for picture in decoded if picture is not None]
        for upsample in (0, 1):
            differences = [_difference(dlib, onnx, picture, upsample) for picture in pictures]
            yield Row(
                folder.name,
                upsample,
                len(differences),
                sum(difference.dlib for difference in differences),
                sum(difference.onnx for difference in differences),
                sum(difference.matters() for difference in differences),
                max((difference.box for difference in differences), default=0.0),
                max((difference.score for difference in differences), default=0.0),
                max((difference.embedding for difference in differences), default=0.0),
            )


def _picture(path: Path, max_size: int) -> RgbImage | None:
    try:
        return scaled_down(decode(path.read_bytes()), max_size)
    except UnreadableImage:
        return None


def _difference(dlib: Engine, onnx: Engine, picture: RgbImage, upsample: int) -> _Difference:
    (expected,), (detected,) = (engine.detector.detect([picture], upsample) for engine in (dlib, onnx))
    chips = [dlib.predictor.align(picture, face)[1] for face in expected]
    embeddings = dlib.embedder.embed(chips) - onnx.embedder.embed(chips)
    pairs = [(face, max(detected, key=lambda other: _overlap(other, face))) for face in expected if detected]
    return _Difference(
        len(expected),
        len(detected),
        max((float(np.abs(np.subtract(_edges(one), _edges(other))).max()) for one, other in pairs), default=0.0),
        max((abs(one.score - other.score) for one, other in pairs), default=0.0),
        float(np.linalg.norm(embeddings, axis=1).max(initial=0.0)),
    )


def _edges(face: Detection) -> tuple[int, int, int, int]:
    return face.left, face.top, face.right, face.bottom


def _overlap(one: Detection, other: Detection) -> int:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0, width) * max(0, height)

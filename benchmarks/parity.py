"""What the ONNX engine finds on photographs, beside what dlib finds: faces, boxes, scores, embeddings.

Run it by `python -m benchmarks.engines --parity FOLDER...`. dlib takes seconds for a photograph, so it is a matter of
minutes to hours for whole sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.analyse import Engine, EngineParameters, load_engine, scaled_down
from models.images import RgbImage, UnreadableImage, decode
from models.protocols import Detection

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True)
class Row:
    """A folder at one number of doublings: counts, and the largest differences among the faces that both found.

    Boxes differ in pixels, embeddings in Euclidean distance. `differing` counts photographs with another number of
    faces, a box off by more than 1, a score by more than 1e-3 or an embedding by more than 1e-4.
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
    dlib: int
    onnx: int
    box: float
    score: float
    embedding: float

    def matters(self) -> bool:
        return self.dlib != self.onnx or self.box > 1 or self.score > 1e-3 or self.embedding > 1e-4


def compare(folders: Sequence[Path], limit: int | None, max_size: int, provider: str) -> Iterator[Row]:
    """Compare on the photographs of each folder, or `limit` evenly chosen ones, scaled down to `max_size`."""
    dlib = load_engine(EngineParameters(engine="dlib"))
    onnx = load_engine(EngineParameters(provider=provider, threads=1))
    for folder in folders:
        paths = sorted(it for it in folder.rglob("*") if it.suffix.lower() in _SUFFIXES)
        chosen = paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]
        pictures = [it for it in (_picture(path, max_size) for path in chosen) if it is not None]
        for upsample in (0, 1):
            found = [_difference(dlib, onnx, picture, upsample) for picture in pictures]
            yield Row(
                folder.name,
                upsample,
                len(found),
                sum(it.dlib for it in found),
                sum(it.onnx for it in found),
                sum(it.matters() for it in found),
                max((it.box for it in found), default=0.0),
                max((it.score for it in found), default=0.0),
                max((it.embedding for it in found), default=0.0),
            )


def _picture(path: Path, max_size: int) -> RgbImage | None:
    try:
        return scaled_down(decode(path.read_bytes()), max_size)
    except UnreadableImage:
        return None


def _difference(dlib: Engine, onnx: Engine, picture: RgbImage, upsample: int) -> _Difference:
    (expected,), (found,) = (engine.detector.detect([picture], upsample) for engine in (dlib, onnx))
    chips = [dlib.predictor.align(picture, face)[1] for face in expected]
    embeddings = dlib.embedder.embed(chips) - onnx.embedder.embed(chips)
    pairs = [(face, max(found, key=lambda it: _overlap(it, face))) for face in expected if found]
    return _Difference(
        len(expected),
        len(found),
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

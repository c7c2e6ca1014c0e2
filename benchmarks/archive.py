"""Faces with the statistics of dlib's embeddings of Labeled Faces in the Wild, as many as one likes, scan by scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from index.entries import Analysed
from schemas.base import Event
from schemas.faces import EMBEDDING_DIMENSIONS, Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished

_FACES_A_SCAN = 2
_LARGEST_PERSON = 500
_PROVENANCE = Provenance(engine="dlib", detector="d", landmarks="l", embedder="e", upsample=1, max_size=2000)
_THEN = datetime(1918, 2, 24, tzinfo=UTC)
_BOX = Box(left=0.1, top=0.1, right=0.2, bottom=0.2)
_LANDMARKS = ((0.12, 0.14), (0.14, 0.14), (0.18, 0.14), (0.16, 0.14), (0.15, 0.17))
_QUALITY = Quality(size_px=80, sharpness=50)


@dataclass(frozen=True)
class Record:
    """A record as the catalogue takes it."""

    topic: str
    partition: int
    offset: int
    message: Event


class Archive:
    """Faces in batches, two a scan, each scan published a minute after the one before.

    Faces vary in 80 of 128 dimensions. Along the principal axes the variances between people fall off with the power
    -0.7 (in all 0.31), those of one person's faces exponentially over 45 axes (in all 0.11), so that two faces of a
    person are 0.46 apart. The number of faces of a person follows Zipf's law with exponent 2, from 1 to 500; the
    faces of a person come at random times.
    """

    def __init__(self, faces: int, seed: int = 0) -> None:
        """`faces` in all."""
        generator = np.random.default_rng(seed)
        sizes = np.arange(1, _LARGEST_PERSON + 1)
        share = 1 / sizes**2.0
        people = generator.choice(sizes, p=share / share.sum(), size=faces)
        self._seed = seed
        self._whose = generator.permutation(np.repeat(np.arange(len(people)), people)[:faces])
        axis = np.arange(EMBEDDING_DIMENSIONS)
        between = np.where(axis < 80, 0.032 * (1 + axis) ** -0.7, 0)
        self._within = np.sqrt(np.where(axis < 80, 0.0029 * np.exp(-axis / 45), 0))
        centres = generator.normal(size=(int(self._whose.max()) + 1, EMBEDDING_DIMENSIONS)) * np.sqrt(between)
        centres[:, -1] = 1.27  # all embeddings lie far from the origin, which costs digits
        self._centres = centres.astype(np.float32)

    def batches(self, faces: int, start: int = 0) -> Iterator[list[Analysed]]:
        """All of them from `start` on in the order of the log, the same each time, `faces` a batch."""
        for first in range(start, len(self._whose), faces):
            vectors = self._vectors(first, min(first + faces, len(self._whose)))
            yield [
                analysed((first + row) // _FACES_A_SCAN, vectors[row : row + _FACES_A_SCAN])
                for row in range(0, len(vectors), _FACES_A_SCAN)
            ]

    def _vectors(self, start: int, end: int) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng((self._seed, start))
        noise = generator.normal(size=(end - start, EMBEDDING_DIMENSIONS)) * self._within
        vectors: npt.NDArray[np.float32] = self._centres[self._whose[start:end]] + noise.astype(np.float32)
        return vectors


def analysed(number: int, vectors: npt.NDArray[np.float32]) -> Analysed:
    """The scan of this number with these faces: float32, shape (faces, EMBEDDING_DIMENSIONS)."""
    scan_id = f"archive/box-{number // 100}/scan-{number}.jpg"
    return Analysed(
        number,
        ScanAnalysed(
            scan_id=scan_id,
            sha256="0" * 64,
            published_at=_THEN + timedelta(minutes=number),
            width=3000,
            height=2000,
            provenance=_PROVENANCE,
            faces=tuple(
                Face(
                    face_id=f"{scan_id}#{place}",
                    box=_BOX,
                    landmarks=_LANDMARKS,
                    score=1.0,
                    quality=_QUALITY,
                    embedding=vector.tobytes(),
                )
                for place, vector in enumerate(vectors)
            ),
        ),
    )


def published(scan_id: str) -> ScanPublished:
    """That a scan was published, as the catalogue wants to know."""
    return ScanPublished(
        scan_id=scan_id,
        uri=f"file:///archive/{scan_id}",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection="album",
        published_at=_THEN,
    )

"""Synthetic scans: any number of faces with the statistics of a set of real embeddings (world.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.world import load as load_world
from index.entries import Analysed
from schemas.base import DLIB_EMBEDDER, Event
from schemas.faces import Face, Provenance, Quality, ScanAnalysed
from schemas.scans import Box, ScanPublished
from schemas.topics import Record as Bytes

DEFAULT_WORLD = "lfw_dev_faded"
_FACES_A_SCAN = 2
_LARGEST_PERSON = 500
_PROVENANCE = Provenance(engine="dlib", detector="d", landmarks="l", embedder=DLIB_EMBEDDER, upsample=1, max_size=2000)
PUBLISHED_AT = datetime(1918, 2, 24, tzinfo=UTC)
QUALITY = Quality(size_px=80, sharpness=50)

_BOX = Box(left=0.1, top=0.1, right=0.2, bottom=0.2)
_LANDMARKS = ((0.12, 0.14), (0.14, 0.14), (0.18, 0.14), (0.16, 0.14), (0.15, 0.17))


@dataclass(frozen=True)
class Record:
    """A record for `catalogue.writer.write`."""

    topic: str
    partition: int
    offset: int
    message: Event
    record: Bytes = field(default_factory=lambda: Bytes(None, None))


class Archive:
    """Faces in batches, two a scan, each scan published a minute after the one before.

    The number of faces of a person follows Zipf's law with exponent 2, from 1 to 500; the faces of a person come at
    random times. `people`, int64 of shape (faces,): whose face each is.
    """

    def __init__(self, faces: int, seed: int = 0, world: str = DEFAULT_WORLD) -> None:
        """Draw `faces` faces, and the people they are of; the same ones for the same seed. `world`: see `WORLDS`."""
        generator = np.random.default_rng(seed)
        sizes = np.arange(1, _LARGEST_PERSON + 1)
        share = 1 / sizes**2.0
        faces_of_person = generator.choice(sizes, p=share / share.sum(), size=faces)
        self._seed = seed
        self._world = load_world(world)
        self.people = generator.permutation(np.repeat(np.arange(len(faces_of_person)), faces_of_person)[:faces])
        self._centres, self._spreads = self._world.people(int(self.people.max()) + 1, generator)

    def batches(self, faces: int, start: int = 0) -> Iterator[list[Analysed]]:
        """Scans with `faces` faces per batch, from face number `start` on; the same each time."""
        for first in range(start, len(self.people), faces):
            vectors = self.vectors(first, min(first + faces, len(self.people)))
            yield [
                analysed((first + row) // _FACES_A_SCAN, vectors[row : row + _FACES_A_SCAN])
                for row in range(0, len(vectors), _FACES_A_SCAN)
            ]

    def vectors(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """The faces from number `start` on, before `end`: float32, shape (n, EMBEDDING_DIMENSIONS)."""
        generator = np.random.default_rng((self._seed, start))
        people = self.people[start:end]
        return self._world.faces(self._centres[people], self._spreads[people], generator)


def analysed(number: int, vectors: npt.NDArray[np.float32]) -> Analysed:
    """The analysis at offset `number`, of a scan with these faces: float32, shape (faces, EMBEDDING_DIMENSIONS)."""
    scan_id = f"archive/box-{number // 100}/scan-{number}.jpg"
    faces = tuple(face(f"{scan_id}#{index}", vector) for index, vector in enumerate(vectors))
    return Analysed(number, scan_analysed(scan_id, faces, PUBLISHED_AT + timedelta(minutes=number)))


def scan_analysed(scan_id: str, faces: tuple[Face, ...], published_at: datetime = PUBLISHED_AT) -> ScanAnalysed:
    """The event of a scan with these faces."""
    return ScanAnalysed(
        scan_id=scan_id,
        sha256="0" * 64,
        published_at=published_at,
        width=3000,
        height=2000,
        provenance=_PROVENANCE,
        faces=faces,
    )


def face(face_id: str, vector: npt.NDArray[np.float32]) -> Face:
    """A face with this embedding: float32, shape (EMBEDDING_DIMENSIONS,)."""
    return Face(
        face_id=face_id,
        box=_BOX,
        landmarks=_LANDMARKS,
        score=1.0,
        quality=QUALITY,
        embedding=vector.tobytes(),
    )


def published(scan_id: str) -> ScanPublished:
    """The event that a scan was published."""
    return ScanPublished(
        scan_id=scan_id,
        uri=f"file:///archive/{scan_id}",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection="album",
        published_at=PUBLISHED_AT,
    )

"""What the index is updated with: the records of `faces`, in the order of the topic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.faces import EMBEDDING_DIMENSIONS, ScanAnalysed


@dataclass(frozen=True)
class Analysed:
    """One analysis of one scan; `analysis` is its offset in `faces`. The event's own checks make it searchable."""

    analysis: int
    scan: ScanAnalysed

    @property
    def scan_id(self) -> str:
        """The scan's id."""
        return self.scan.scan_id

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """The embeddings of its faces: float32, shape (faces, dimensions)."""
        faces = self.scan.faces
        joined = b"".join(face.embedding for face in faces)
        dimensions = len(faces[0].embedding) // 4 if faces else EMBEDDING_DIMENSIONS
        return np.frombuffer(joined, dtype="<f4").reshape(-1, dimensions)


@dataclass(frozen=True)
class Withdrawn:
    """The scan was withdrawn: a tombstone in `faces`."""

    scan_id: str

"""What the index is updated with: the records of `faces`, in the order of the topic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.codec import InvalidRecord
from schemas.faces import EMBEDDING_DIMENSIONS, ScanAnalysed


@dataclass(frozen=True)
class Analysed:
    """One analysis of one scan; `analysis` is its offset in `faces`.

    Raises InvalidRecord when an embedding is not of length EMBEDDING_DIMENSIONS or not finite, or when a face id occurs
    twice.
    """

    analysis: int
    scan: ScanAnalysed

    def __post_init__(self) -> None:
        """Refuse what cannot be searched, so that a batch holds valid entries only."""
        for face in self.scan.faces:
            length = len(face.embedding) // 4
            if length != EMBEDDING_DIMENSIONS:
                raise InvalidRecord(
                    f"the embedding of face {face.face_id!r} has length {length}, not {EMBEDDING_DIMENSIONS}"
                )
        if not np.isfinite(self.vectors).all():
            raise InvalidRecord(f"an embedding of scan {self.scan.scan_id!r} is not finite")
        if len({face.face_id for face in self.scan.faces}) < len(self.scan.faces):
            raise InvalidRecord(f"scan {self.scan.scan_id!r} has a face id twice")

    @property
    def scan_id(self) -> str:
        """The scan's id."""
        return self.scan.scan_id

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """The embeddings of its faces: float32, shape (faces, EMBEDDING_DIMENSIONS)."""
        joined = b"".join(face.embedding for face in self.scan.faces)
        return np.frombuffer(joined, dtype="<f4").reshape(-1, EMBEDDING_DIMENSIONS)


@dataclass(frozen=True)
class Withdrawn:
    """The scan was withdrawn: a tombstone in `faces`."""

    scan_id: str

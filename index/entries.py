"""The entries of the `faces` topic as the index takes them, in log order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.parameters import DIMENSIONS
from schemas.codec import InvalidRecord
from schemas.faces import ScanAnalysed


@dataclass(frozen=True)
class Analysed:
    """One analysis of one scan; `analysis` is its offset in `faces`.

    Raises InvalidRecord when an embedding is not of length DIMENSIONS or not finite, or a face id occurs twice.
    """

    analysis: int
    scan: ScanAnalysed

    def __post_init__(self) -> None:
        """Refuse here what could not be searched, so that a batch is either good or never made."""
        for face in self.scan.faces:
            length = len(face.embedding) // 4
            if length != DIMENSIONS:
                raise InvalidRecord(f"the embedding of face {face.face_id!r} has length {length}, not {DIMENSIONS}")
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
        """The embeddings of its faces: float32, shape (faces, DIMENSIONS)."""
        joined = b"".join(face.embedding for face in self.scan.faces)
        return np.frombuffer(joined, dtype="<f4").reshape(-1, DIMENSIONS)


@dataclass(frozen=True)
class Withdrawn:
    """The scan is gone: a tombstone in `faces`."""

    scan_id: str

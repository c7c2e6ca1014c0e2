"""The `faces` topic: one analysis of one scan, with all faces found, also when there are none.

An analysis is numbered by its offset in `faces`. The topic has one partition, so all readers see one order, and the
highest number of a scan is its live analysis. A tombstone says that the scan was withdrawn.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from schemas.base import Event, Float32Vector, Time, Value
from schemas.scans import Box

EMBEDDING_DIMENSIONS = 128
"""Length of an embedding: what dlib's face recognition network makes."""


class Quality(Value):
    """What can be told of a face without knowing whose it is.

    size_px: the shorter side of its box in pixels of the original scan. sharpness: variance of the Laplacian of the
    aligned gray chip (Pech-Pacheco et al. 2000), in squared gray levels: low is blurred.
    """

    size_px: float
    sharpness: float


class Face(Value):
    """One face: where it is, how sure the detector was, and its embedding."""

    face_id: str
    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float
    quality: Quality
    embedding: Float32Vector

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The embedding as a read-only array: float32, shape (EMBEDDING_DIMENSIONS,)."""
        return np.frombuffer(self.embedding, dtype="<f4")


class Provenance(Value):
    """Which networks, by the sha256 of their weight files, and which settings made an analysis."""

    engine: str
    detector: str
    landmarks: str
    embedder: str
    upsample: int
    max_size: int
    threshold: float = 0.0
    jitter: int = 0


class ScanAnalysed(Event):
    """One analysis of one scan. Width and height are its pixels as a person sees it (EXIF orientation applied)."""

    type: ClassVar[str] = "facestream.scan.analysed.v1"

    scan_id: str
    sha256: str
    published_at: Time
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    provenance: Provenance
    faces: tuple[Face, ...]

    @property
    def key(self) -> str:
        """The scan's id."""
        return self.scan_id

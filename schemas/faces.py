"""The `faces` topic: each record is one analysis of one scan, with all faces on it, which may be none.

An analysis is numbered by its offset in `faces`. The topic has one partition, so all readers see one order, and the
highest number of a scan is its live analysis. A tombstone: the scan was withdrawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from schemas.base import Event, Float32Vector, Time, Value
from schemas.scans import Box

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EMBEDDING_DIMENSIONS = 128
"""The length of an embedding: the outputs of dlib's face recognition network."""


class Quality(Value):
    """How good the image of a face is.

    size_px: the shorter side of its box in pixels of the original scan. sharpness: the variance of the Laplacian of the
    gray chip (Pech-Pacheco et al. 2000), in squared gray levels from 0 to 255; low is blurred.
    """

    size_px: float
    sharpness: float


class Face(Value):
    """One face of an analysis.

    box, landmarks: relative to the scan (see Box); five landmarks, each x and y, in the order of models.protocols.
    score: the detector's, without a unit. embedding: EMBEDDING_DIMENSIONS little-endian float32. turn: the degrees by
    which the scan has to be turned clockwise for the face to be upright (0, 90, 180 or 270); box and landmarks are in
    the frame of the scan as it is. negative: the face was found on the scan's negative.
    """

    face_id: str
    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float
    quality: Quality
    embedding: Float32Vector
    turn: Literal[0, 90, 180, 270] = 0
    negative: bool = False

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The embedding as a read-only array: float32, shape (EMBEDDING_DIMENSIONS,)."""
        # Imported here: most commands that read events use no vectors, and numpy takes 70 ms.
        import numpy as np

        return np.frombuffer(self.embedding, dtype="<f4")


class Provenance(Value):
    """The networks of an analysis, by the sha256 of their weight files, and its settings (models.analyse)."""

    engine: str
    detector: str
    landmarks: str
    embedder: str
    upsample: int
    max_size: int
    threshold: float = 0.0
    jitter: int = 0
    turns: Literal["fallback", "never", "always"] = "never"
    negatives: bool = False
    min_face_px: int = 0


class ScanAnalysed(Event):
    """One analysis of one scan.

    sha256, published_at: as in the scan's event. width, height: in pixels, as a person sees the scan (EXIF orientation
    applied).
    """

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

"""The `faces` topic: each record is one analysis of one scan, with all faces on it, which may be none.

An analysis is numbered by its offset in `faces`. The topic has one partition, so all readers see one order, and the
highest number of a scan is its live analysis. A tombstone: the scan was withdrawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.base import (
    EMBEDDING_DIMENSIONS,
    Count,
    Event,
    Float32Vector,
    NewId,
    Positive,
    Sha256,
    Time,
    Value,
    Word,
    check_embeddings,
    first_fault,
)
from schemas.scans import Box

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["EMBEDDING_DIMENSIONS", "Face", "Provenance", "Quality", "ScanAnalysed", "Score"]

MOST_FACES = 10_000
"""On one scan."""

Score = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]
"""A detector's score, without a unit."""

# Those of a face that is cut off lie outside of the scan.
_Landmark = Annotated[float, Field(ge=-2, le=3)]


class Quality(Value):
    """How good the image of a face is.

    size_px: the shorter side of its box in pixels of the original scan. sharpness: the variance of the Laplacian of the
    gray chip (Pech-Pacheco et al. 2000), in squared gray levels from 0 to 255; low is blurred.
    """

    size_px: float = Field(ge=0, le=1_000_000)
    sharpness: float = Field(ge=0, le=1_000_000_000)


class Face(Value):
    """One face of an analysis.

    box, landmarks: relative to the scan (see Box); five landmarks, each x and y, in the order of models.protocols.
    score: the detector's, without a unit. embedding: little-endian float32, as many as the embedder makes. turn: the
    degrees by which the scan has to be turned clockwise for the face to be upright (0, 90, 180 or 270); box and
    landmarks are in the frame of the scan as it is. negative: the face was found on the scan's negative.
    """

    face_id: NewId
    box: Box
    landmarks: Annotated[tuple[tuple[_Landmark, _Landmark], ...], first_fault, Field(max_length=68)]
    score: Score
    quality: Quality
    embedding: Float32Vector
    turn: Literal[0, 90, 180, 270] = 0
    negative: bool = False

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The embedding as a read-only array: float32, shape (dimensions,)."""
        # Imported here: most commands that read events use no vectors, and numpy takes 70 ms.
        import numpy as np

        return np.frombuffer(self.embedding, dtype="<f4")


class Provenance(Value):
    """The networks of an analysis, by the sha256 of their weight files, and its settings (models.analyse).

    Of an embedder that is described by a file (models.descriptions), the id that follows from all that an embedding
    depends on. Embeddings of two embedders are never compared.
    """

    engine: Word
    detector: Word
    landmarks: Word
    embedder: Word
    upsample: Count
    max_size: Count
    threshold: Score = 0.0
    jitter: Count = 0
    turns: Literal["fallback", "never", "always"] = "never"
    negatives: bool = False
    min_face_px: Count = 0


class ScanAnalysed(Event):
    """One analysis of one scan.

    sha256, published_at: as in the scan's event. width, height: in pixels, as a person sees the scan (EXIF orientation
    applied).
    """

    type: ClassVar[str] = "facestream.scan.analysed.v1"

    scan_id: NewId
    sha256: Sha256
    published_at: Time
    width: Positive
    height: Positive
    provenance: Provenance
    faces: Annotated[tuple[Face, ...], first_fault, Field(max_length=MOST_FACES)]

    @model_validator(mode="after")
    def _faces_can_be_told_apart(self) -> Self:
        check_embeddings([face.embedding for face in self.faces], self.provenance.embedder)
        if len({face.face_id for face in self.faces}) < len(self.faces):
            raise ValueError("a face id occurs twice")
        return self

    @property
    def key(self) -> str:
        """The scan's id."""
        return self.scan_id

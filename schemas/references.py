"""The `references` topic: references that distances are calibrated with (calibration.reference). None is ever changed.

A record of dlib's embeddings is below a megabyte: a reference has at most two banks of 640 faces.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import (
    EMBEDDING_DIMENSIONS,
    LARGEST_DISTANCE,
    MOST_DIMENSIONS,
    Event,
    Float32Vector,
    Id,
    Positive,
    Time,
    check_embeddings,
)

# A distance, or less: a level is one without the offsets.
_Offset = Annotated[float, Field(ge=-LARGEST_DISTANCE, le=LARGEST_DISTANCE)]
FEWEST = 6
"""Faces in a bank: an offset is the mean distance to five of them, after the nearest."""


class ReferenceDrawn(Event):
    """A reference, drawn from the faces of this archive.

    name: follows from banks, level, largest_offset and unit. banks: each the vectors of its faces one after the other,
    of `dimension` each. level, largest_offset, slope, sampled, archive_faces, unit: as in calibration.reference.
    embedder: the one that made them, as in `faces`; None: dlib's published one.
    """

    type: ClassVar[str] = "facestream.reference.drawn.v1"

    name: Id
    drawn_at: Time
    banks: Annotated[tuple[Float32Vector, ...], Field(min_length=1, max_length=100)]
    level: _Offset
    largest_offset: _Offset
    slope: float = Field(gt=0, le=1_000)
    sampled: Positive
    archive_faces: Positive
    embedder: Id | None = None
    dimension: int = Field(default=EMBEDDING_DIMENSIONS, ge=2, le=MOST_DIMENSIONS)
    unit: float = Field(default=1.0, gt=0, le=LARGEST_DISTANCE)

    @model_validator(mode="after")
    def _banks_are_of_faces(self) -> Self:
        size = 4 * self.dimension
        if any(len(bank) < FEWEST * size for bank in self.banks):
            raise ValueError(f"a bank has at least {FEWEST} faces")
        vectors = [bank[start : start + size] for bank in self.banks for start in range(0, len(bank), size)]
        check_embeddings(vectors, self.embedder)
        return self

    @property
    def key(self) -> str:
        """The reference's name."""
        return self.name

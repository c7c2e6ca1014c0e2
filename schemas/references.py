"""The `references` topic: references that distances are calibrated with (calibration.reference). None is ever changed.

A record is below a megabyte: a reference has at most two banks of 640 faces.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Event, Float32Vector, Time


class ReferenceDrawn(Event):
    """A reference, drawn from the faces of this archive.

    name: follows from banks, level and largest_offset. banks: each the vectors of its faces one after the other, of
    EMBEDDING_DIMENSIONS each. level, largest_offset, slope, sampled, archive_faces: as in calibration.reference.
    """

    type: ClassVar[str] = "facestream.reference.drawn.v1"

    name: str = Field(min_length=1)
    drawn_at: Time
    banks: tuple[Float32Vector, ...] = Field(min_length=1)
    level: float
    largest_offset: float
    slope: float = Field(gt=0)
    sampled: int = Field(ge=1)
    archive_faces: int = Field(ge=1)

    @property
    def key(self) -> str:
        """The reference's name."""
        return self.name

"""The `scans` topic: the scans to analyse, as the feed published them. A tombstone withdraws a scan."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import (
    Event,
    Float32Vector,
    NewId,
    Positive,
    Sha256,
    Text,
    Time,
    Value,
    Word,
    check_numbers,
    first_fault,
)

# A face may extend beyond the edge of its scan, by at most the size of that.
_Place = Annotated[float, Field(ge=-1, le=2)]


class Box(Value):
    """A rectangle relative to the scan as a person sees it: 0,0 is its top-left corner, 1,1 its bottom-right one.

    A face may extend beyond the edge of the scan, so values from -1 to 2 occur.
    """

    left: _Place
    top: _Place
    right: _Place
    bottom: _Place

    @model_validator(mode="after")
    def _is_not_inverted(self) -> Self:
        if self.left > self.right or self.top > self.bottom:
            raise ValueError("a box ends before it begins")
        return self

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)

    @property
    def area(self) -> float:
        """Width times height, as a share of the scan."""
        return (self.right - self.left) * (self.bottom - self.top)


class KeptFace(Value):
    """A face of an earlier analysis whose id is kept where the new analysis finds it again (models.face_ids).

    sha256, page: the picture on which the face was last found. embedding, embedder: its embedding there, and the
    embedder that made it. live: whether the latest analysis found it. Records of earlier versions have face_id and box
    only.
    """

    face_id: NewId
    box: Box
    sha256: Sha256 | None = None
    page: Positive | None = None
    embedding: Float32Vector | None = None
    embedder: Word | None = None
    live: bool = True


class ScanPublished(Event):
    """A scan to analyse. The image stays at its uri; the event refers to it (Hohpe and Woolf 2003, Claim Check).

    published_at: when the scan was *first* published. A producer that publishes it again sends the first time, so that
    its faces keep their age. page: counts from 1; None for a file with a single page. keep: the faces of earlier
    analyses whose ids a new analysis keeps.
    """

    type: ClassVar[str] = "facestream.scan.published.v1"

    scan_id: NewId = Field(max_length=1024)
    uri: str = Field(min_length=1, max_length=100_000)
    sha256: Sha256
    media_type: Word
    collection: Word
    published_at: Time
    page: Positive | None = None
    metadata: Annotated[dict[Word, Text], first_fault, Field(max_length=10_000)] = Field(default_factory=dict)
    keep: Annotated[tuple[KeptFace, ...], first_fault, Field(max_length=100_000)] = ()

    @model_validator(mode="after")
    def _kept_faces_can_be_compared(self) -> Self:
        # Those of another embedder may have another length.
        check_numbers([face.embedding for face in self.keep if face.embedding is not None])
        return self

    @property
    def key(self) -> str:
        """The scan's id."""
        return self.scan_id

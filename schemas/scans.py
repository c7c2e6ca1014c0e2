"""The `scans` topic: the scans to analyse, as the feed published them. A tombstone withdraws a scan."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Event, Float32Vector, Time, Value


class Box(Value):
    """A rectangle relative to the scan as a person sees it: 0,0 is its top-left corner, 1,1 its bottom-right one.

    A face may extend beyond the edge of the scan, so values below 0 and above 1 occur.
    """

    left: float
    top: float
    right: float
    bottom: float

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

    sha256, page: the picture on which the face was last found. embedding, embedder: its embedding there, and the sha256
    of the network that made it. live: whether the latest analysis found it. Records of earlier versions have face_id
    and box only.
    """

    face_id: str
    box: Box
    sha256: str | None = None
    page: int | None = None
    embedding: Float32Vector | None = None
    embedder: str | None = None
    live: bool = True


class ScanPublished(Event):
    """A scan to analyse. The image stays at its uri; the event refers to it (Hohpe and Woolf 2003, Claim Check).

    published_at: when the scan was *first* published. A producer that publishes it again sends the first time, so that
    its faces keep their age. page: counts from 1; None for a file with a single page. keep: the faces of earlier
    analyses whose ids a new analysis keeps.
    """

    type: ClassVar[str] = "facestream.scan.published.v1"

    scan_id: str = Field(min_length=1, max_length=1024)
    uri: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    media_type: str
    collection: str
    published_at: Time
    page: int | None = Field(default=None, ge=1)
    metadata: dict[str, str] = Field(default_factory=dict)
    keep: tuple[KeptFace, ...] = ()

    @property
    def key(self) -> str:
        """The scan's id."""
        return self.scan_id

"""The `neighbours` topic: the neighbours of each face of one analysis in one shard.

A tombstone: the scan was withdrawn.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from schemas.base import Event, Time, Value
from schemas.faces import Quality


class FaceNeighbours(Value):
    """One face, the facts that clustering needs of it, and its neighbours in three columns of one length.

    A neighbour is a face *and its analysis*: a face that is analysed again may keep its id, but gets another embedding.
    An edge to an analysis that is not live is not active. neighbours: face ids. analyses: the analysis of each.
    distances: between the embeddings, see `NeighboursFound.reference`.
    """

    face_id: str
    score: float
    quality: Quality
    neighbours: tuple[str, ...]
    analyses: tuple[int, ...]
    distances: tuple[float, ...]

    @model_validator(mode="after")
    def _columns_have_one_length(self) -> FaceNeighbours:
        if not len(self.neighbours) == len(self.analyses) == len(self.distances):
            raise ValueError("neighbours, analyses and distances must have one length")
        return self


class NeighboursFound(Event):
    """The neighbours that shard `shard` of `shards` found within `eps_max` of each face of one analysis of one scan.

    Every face of the analysis is in it, also faces that other shards hold, and faces without a neighbour. reference:
    the name of the reference that distances and `eps_max` are calibrated with; None: they are Euclidean.
    """

    type: ClassVar[str] = "facestream.neighbours.found.v1"

    scan_id: str
    analysis: int = Field(ge=0)
    shard: int = Field(ge=0)
    shards: int = Field(ge=1)
    eps_max: float
    published_at: Time
    faces: tuple[FaceNeighbours, ...]
    reference: str | None = None

    @property
    def key(self) -> str:
        """The shard and the scan's id: each shard publishes a record of its own."""
        return neighbours_key(self.scan_id, self.shard)


def neighbours_key(scan_id: str, shard: int) -> str:
    """The key of one shard's record for one scan."""
    return f"{shard}/{scan_id}"


def parse_neighbours_key(key: str) -> tuple[str, int]:
    """The scan's id and the shard of a key. Raises ValueError for any other text."""
    shard, slash, scan_id = key.partition("/")
    if not slash or not shard.isdigit():
        raise ValueError(f"not a key of `neighbours`: {key!r}")
    return scan_id, int(shard)

"""The `neighbours` topic: what one index shard found near each face of one analysis. A tombstone: the scan is gone."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from schemas.base import Event, Time, Value
from schemas.faces import Quality


class FaceNeighbours(Value):
    """One face, what clustering needs of it, and its neighbours in three columns of one length.

    A neighbour is a face *and its analysis* (a face may keep its id but not its embedding: an edge to an analysis
    that is no longer the live one is dead). Distances are Euclidean between embeddings.
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
    """All that shard `shard` of `shards` knows within `eps_max` of each face of one analysis of one scan.

    It names every face of that analysis, also those that live in other shards or have no neighbour.
    """

    type: ClassVar[str] = "facestream.neighbours.found.v1"

    scan_id: str
    analysis: int = Field(ge=0)
    shard: int = Field(ge=0)
    shards: int = Field(ge=1)
    eps_max: float
    published_at: Time
    faces: tuple[FaceNeighbours, ...]

    @property
    def key(self) -> str:
        """The scan's id and the shard: each shard says its part."""
        return neighbours_key(self.scan_id, self.shard)


def neighbours_key(scan_id: str, shard: int) -> str:
    """The key of one shard's part of one scan."""
    return f"{shard}/{scan_id}"


def parse_neighbours_key(key: str) -> tuple[str, int]:
    """The scan id and the shard of a key; ValueError if it is not such a key."""
    shard, slash, scan_id = key.partition("/")
    if not slash or not shard.isdigit():
        raise ValueError(f"not a key of `neighbours`: {key!r}")
    return scan_id, int(shard)

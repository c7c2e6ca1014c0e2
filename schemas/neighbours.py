"""The `neighbours` topic: the neighbours of each face of one analysis in one shard.

A tombstone: the scan was withdrawn.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import LARGEST_DISTANCE, MOST_ID_BYTES, Distance, Event, Id, Offset, Time, Value, first_fault
from schemas.faces import MOST_FACES, Quality, Score

MOST_SHARDS = 256
"""The clustering keeps the shard of an edge in 8 bits."""


class FaceNeighbours(Value):
    """One face, the facts that clustering needs of it, and its neighbours in three columns of one length.

    A neighbour is a face *and its analysis*: a face that is analysed again may keep its id, but gets another embedding.
    An edge to an analysis that is not live is not active. neighbours: face ids. analyses: the analysis of each.
    distances: between the embeddings, see `NeighboursFound.reference`.
    """

    face_id: Id
    score: Score
    quality: Quality
    neighbours: Annotated[tuple[str, ...], first_fault]
    analyses: Annotated[tuple[int, ...], first_fault]
    distances: Annotated[tuple[float, ...], first_fault]

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        if not len(self.neighbours) == len(self.analyses) == len(self.distances):
            raise ValueError("neighbours, analyses and distances must have one length")
        # Whole columns, because there are millions of them: bounds of each value would make reading slower by a half.
        if self.neighbours:
            if "" in self.neighbours or max(map(len, self.neighbours)) > MOST_ID_BYTES:
                raise ValueError(f"the id of a neighbour is empty, or has more than {MOST_ID_BYTES} characters")
            if min(self.analyses) < 0 or max(self.analyses) >= 2**63:
                raise ValueError("the analysis of a neighbour is not from 0 to 2^63 - 1")
            if min(self.distances) < 0 or max(self.distances) > LARGEST_DISTANCE:
                raise ValueError(f"the distance of a neighbour is not from 0 to {LARGEST_DISTANCE}")
        return self


class NeighboursFound(Event):
    """The neighbours that shard `shard` of `shards` found within `eps_max` of each face of one analysis of one scan.

    Every face of the analysis is in it, also faces that other shards hold, and faces without a neighbour. reference:
    the name of the reference that distances and `eps_max` are calibrated with; None: they are Euclidean. embedder: the
    one whose embeddings this shard compares, as in `faces`; None: dlib's published one. The faces of an analysis by
    another embedder have no neighbours.
    """

    type: ClassVar[str] = "facestream.neighbours.found.v1"

    scan_id: Id
    analysis: Offset
    shard: int = Field(ge=0, lt=MOST_SHARDS)
    shards: int = Field(ge=1, le=MOST_SHARDS)
    eps_max: Distance
    published_at: Time
    faces: Annotated[tuple[FaceNeighbours, ...], first_fault, Field(max_length=MOST_FACES)]
    reference: Id | None = None
    embedder: Id | None = None

    @model_validator(mode="after")
    def _faces_and_shards_fit(self) -> Self:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} of {self.shards}: they are counted from 0")
        if len({face.face_id for face in self.faces}) < len(self.faces):
            raise ValueError("a face id occurs twice")
        return self

    @property
    def measure(self) -> str | None:
        """What distances are measured by: the reference, which is of one embedder, or the embedder."""
        return self.embedder if self.reference is None else self.reference

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
    if not slash or not scan_id or not re.fullmatch("0|[1-9][0-9]{0,2}", shard) or int(shard) >= MOST_SHARDS:
        raise ValueError(f"not a key of `neighbours`: {key[:100]!r}")
    return scan_id, int(shard)

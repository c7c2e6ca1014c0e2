"""The parameters of an index, and which shard holds a face."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from calibration.distances import Distances
from calibration.reference import Reference
from schemas import defaults
from schemas.base import DLIB_EMBEDDER, EMBEDDING_DIMENSIONS

# With some 70 bytes a neighbour, 9 MB of the 32 MB that a record may have.
LARGEST_RECORD = 2**17


@dataclass(frozen=True)
class Parameters:
    """How a shard searches.

    reference: distances are calibrated with it; None: Euclidean, between float32 embeddings.
    most_neighbours: of a face at most so many are published, the nearest; None: all. Of a scan with very many faces
        fewer, so that a record has at most LARGEST_RECORD neighbours.
    eps_max: neighbours are the faces at this distance or nearer.
    exact_below: up to this many faces in the shard the search is exact (blocked matrix products).
    m, ef_construction, ef, seed: HNSW's connections of a node, candidates kept while inserting, candidates kept while
        searching (Malkov and Yashunin 2018, sections 4 and 4.1), and the seed of its levels. `ef` is raised for faces
        with more neighbours, and with more than 82,944 nodes: see `index.hnsw`. With fewer connections a far larger
        `ef` is needed to find the faces of a large graph that are unlike all others.
    shard, shards: this index holds the faces of shard `shard` of `shards`.
    threads: for inserting and searching in HNSW; -1 is one a core. With more than one the graph depends on the
        threads' timing. That is accepted: what was found is published, and the audit corrects what was missed.
    embedder, dimension: only embeddings of this embedder and length are compared; of other analyses the faces have no
        neighbours. None: whoever made them (for tests and measurements).
    marked_share: HNSW is rebuilt in the background when more than this share of its nodes is marked deleted.
    """

    eps_max: float = defaults.EPS_MAX
    exact_below: int = defaults.EXACT_BELOW
    m: int = defaults.M
    ef_construction: int = defaults.EF_CONSTRUCTION
    ef: int = defaults.EF
    seed: int = defaults.SEED
    shard: int = 0
    shards: int = 1
    threads: int = -1
    marked_share: float = 0.25
    reference: Reference | None = None
    most_neighbours: int | None = None
    embedder: str | None = None
    dimension: int = EMBEDDING_DIMENSIONS

    def __post_init__(self) -> None:
        """Raises ValueError for a shard that does not exist, and for an eps_max of 0 or less."""
        if not 0 <= self.shard < self.shards:
            raise ValueError(f"shard {self.shard} of {self.shards} does not exist: shards are numbered from 0")
        if not self.eps_max > 0:
            raise ValueError(f"eps_max must be larger than 0, not {self.eps_max}")

    @property
    def reference_name(self) -> str | None:
        """The name of the reference."""
        return None if self.reference is None else self.reference.name

    @property
    def embedder_name(self) -> str | None:
        """The embedder as records of `neighbours` name it: None for dlib's published one."""
        return None if self.embedder == DLIB_EMBEDDER else self.embedder

    @property
    def measure(self) -> str | None:
        """What distances are measured by, see NeighboursFound."""
        return self.embedder_name if self.reference is None else self.reference_name

    def limits(self, offsets: Distances) -> Distances:
        """How far away the neighbours of faces with these offsets can be, in Euclidean distance: shape (n,)."""
        if self.reference is None:
            return np.full(len(offsets), self.eps_max)
        # No neighbour has a larger offset than the largest.
        return np.asarray(self.reference.unit * np.maximum(self.eps_max + (offsets + self.reference.largest) / 2, 0.0))

    def shortfalls(self, offsets: Distances) -> Distances:
        """By how much nearer than the limit of another face those with these offsets have to be: shape (n,)."""
        if self.reference is None:
            return np.zeros(len(offsets))
        return np.asarray(self.reference.unit * (self.reference.largest - offsets) / 2)

    def most_published(self, faces: int) -> int | None:
        """How many neighbours a face on a scan with so many faces may have in its record; None: all."""
        return self.most_neighbours and min(self.most_neighbours, max(1, LARGEST_RECORD // max(1, faces)))


def shard_of(face_id: str, shards: int) -> int:
    """The shard that holds a face: 64 bits of BLAKE2b (RFC 7693) of its id, modulo the number of shards."""
    if shards == 1:
        return 0
    return int.from_bytes(hashlib.blake2b(face_id.encode(), digest_size=8).digest(), "big") % shards

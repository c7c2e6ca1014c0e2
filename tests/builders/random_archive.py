"""Records of `neighbours` by chance: in any order, with edges to anything."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from clustering.clustering import NeighboursWithdrawn
from tests.builders.neighbours import IndexMessage, record

SCANS = 5
_ANALYSES = 3
WITH_SHARED_NEIGHBOURS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"shared_weight": 1.0, "reach": 3.0},
    {"shared_weight": 1.5, "reach": 4.0, "most_neighbours": 2},
)
"""Parameters with and without evidence from shared neighbours, for distances as below and an eps up to 3."""
_DISTANCES = (0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 7.0)


@dataclass(frozen=True)
class RandomArchive:
    """A few scans, each with a few analyses; every analysis has its faces, whichever shard publishes them."""

    faces: dict[tuple[int, int], tuple[list[str], list[str], int]]

    @classmethod
    def drawn(cls, rng: random.Random) -> RandomArchive:
        faces = {}
        for scan in range(SCANS):
            for version in range(_ANALYSES):
                names = [f"{scan}{letter}" for letter in "abc" if rng.random() < 0.8]
                faces[scan, version] = (names, [name for name in names if rng.random() < 0.2], rng.randrange(4))
        return cls(faces)

    def analysis(self, scan: int, version: int) -> int:
        return version * SCANS + scan

    def record(self, rng: random.Random) -> IndexMessage:
        """A record or a withdrawal of any scan, analysis and shard."""
        scan, version, shard = rng.randrange(SCANS), rng.randrange(_ANALYSES), rng.choice([0, 0, 0, 1, 2])
        if rng.random() < 0.2:
            return NeighboursWithdrawn(f"scan {scan}", shard)
        names, blurred, minute = self.faces[scan, version]
        edges = {name: [self.edge(rng) for _ in range(rng.choice([0, 1, 1, 2, 4]))] for name in names}
        analysis = self.analysis(scan, version)
        return record(f"scan {scan}", analysis, edges, minute=minute, shard=shard, blurred=blurred)

    def edge(self, rng: random.Random) -> tuple[str, int, float]:
        """To any face of any analysis: known or not, live or not, its own, or one that never comes."""
        scan, version = rng.randrange(SCANS), rng.randrange(_ANALYSES)
        return f"{scan}{rng.choice('abcd')}", self.analysis(scan, version), rng.choice(_DISTANCES)

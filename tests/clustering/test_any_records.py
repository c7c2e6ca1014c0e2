"""Whatever is said, in whatever order and batches, the state is what the latest records come to."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from tests.clustering.oracle import Held, Said, Subscriber, check, hold, record

_SCANS = 5
_ANALYSES = 3
_DISTANCES = (0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 7.0)

parameters_of_all_kinds = st.builds(
    Parameters,
    eps=st.sampled_from([1.0, 2.0, 2.5]),
    min_samples=st.integers(1, 5),
    min_sharpness=st.sampled_from([None, None, 50.0]),
    same_scan_eps=st.sampled_from([None, None, 1.0]),
)


@dataclass(frozen=True)
class World:
    """A few scans, each with a few analyses; every analysis has its faces, whoever tells of it."""

    faces: dict[tuple[int, int], tuple[list[str], list[str], int]]

    @classmethod
    def drawn(cls, rng: random.Random) -> World:
        faces = {}
        for scan in range(_SCANS):
            for version in range(_ANALYSES):
                names = [f"{scan}{letter}" for letter in "abc" if rng.random() < 0.8]
                faces[scan, version] = (names, [name for name in names if rng.random() < 0.2], rng.randrange(4))
        return cls(faces)

    def analysis(self, scan: int, version: int) -> int:
        return version * _SCANS + scan

    def record(self, rng: random.Random) -> Said:
        scan, version, shard = rng.randrange(_SCANS), rng.randrange(_ANALYSES), rng.choice([0, 0, 0, 1, 2])
        if rng.random() < 0.2:
            return NeighboursWithdrawn(f"scan {scan}", shard)
        names, blurred, minute = self.faces[scan, version]
        edges = {name: [self.edge(rng) for _ in range(rng.choice([0, 1, 1, 2, 4]))] for name in names}
        analysis = self.analysis(scan, version)
        return record(f"scan {scan}", analysis, edges, minute=minute, shard=shard, blurred=blurred)

    def edge(self, rng: random.Random) -> tuple[str, int, float]:
        """To any face of any analysis: known or not, live or not, its own, or one that never comes."""
        scan, version = rng.randrange(_SCANS), rng.randrange(_ANALYSES)
        return f"{scan}{rng.choice('abcd')}", self.analysis(scan, version), rng.choice(_DISTANCES)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds, st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_after_every_batch_the_assignments_are_what_the_latest_records_come_to(
    rng: random.Random, parameters: Parameters, sizes: list[int]
) -> None:
    world = World.drawn(rng)
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    for size in sizes:
        batch = [world.record(rng) for _ in range(size)]
        subscriber.read(clustering.apply(batch))
        hold(held, batch)
        check(clustering, subscriber, held)


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds)
def test_when_everything_is_withdrawn_nothing_is_left(rng: random.Random, parameters: Parameters) -> None:
    world = World.drawn(rng)
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    for _ in range(10):
        batch = [world.record(rng) for _ in range(4)]
        subscriber.read(clustering.apply(batch))
        hold(held, batch)
    keys = list(held)
    rng.shuffle(keys)
    for key in keys:
        subscriber.read(clustering.apply([NeighboursWithdrawn(*key)]))
    check(clustering, subscriber, {})
    graph = clustering.graph
    assert (graph.scans.rows, graph.nodes.rows, graph.edges.rows) == (0, 0, 0)
    assert not graph.other_slots and not graph.scan_slots
    assert (graph.node_index.find([f"{scan}{letter}" for scan in range(_SCANS) for letter in "abcd"]) == -1).all()

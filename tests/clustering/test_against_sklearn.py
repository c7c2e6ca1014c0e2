"""Points in space, as an index would publish them: the clustering is scikit-learn's DBSCAN of the live points."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from tests.builders.analyses import album
from tests.builders.neighbours import IndexMessage, record
from tests.builders.oracle import Subscriber, assert_is_dbscan, assigned

Points = npt.NDArray[np.float64]


@dataclass
class Shards:
    """An archive, and for each shard of its index the records that the clustering has not read yet."""

    shards: int
    eps_max: float
    points: dict[str, tuple[str, int, Points]] = field(default_factory=dict)
    unread: list[list[IndexMessage]] = field(default_factory=list)
    analyses: int = 0

    def __post_init__(self) -> None:
        self.unread = [[] for _ in range(self.shards)]

    def withdraw(self, scan_id: str) -> None:
        self.points = {face: point for face, point in self.points.items() if point[0] != scan_id}
        for shard, unread in enumerate(self.unread):
            unread.append(NeighboursWithdrawn(scan_id, shard))

    def analyse(self, scan_id: str, faces: dict[str, Points]) -> None:
        """A scan, for the first time or again; its faces may keep their ids."""
        self.points = {face: point for face, point in self.points.items() if point[0] != scan_id}
        analysis = self.analyses
        self.analyses += 1
        self.points |= {face: (scan_id, analysis, point) for face, point in faces.items()}
        for shard, unread in enumerate(self.unread):
            known = [face for face in self.points if hash_of(face) % self.shards == shard]
            edges = {face: list(self.near(face, known)) for face in faces}
            unread.append(
                record(scan_id, analysis, edges, shard=shard, shards=self.shards, eps_max=self.eps_max, minute=0)
            )

    def near(self, face: str, known: list[str]) -> Iterator[tuple[str, int, float]]:
        _, _, here = self.points[face]
        for other in known:
            _, analysis, there = self.points[other]
            distance = float(np.sqrt(((here - there) ** 2).sum()))
            if other != face and distance <= self.eps_max:
                yield other, analysis, distance


def hash_of(face_id: str) -> int:
    return sum(face_id.encode())


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    min_samples=st.integers(1, 5),
    shards=st.sampled_from([1, 2, 4]),
    batches=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 12)), min_size=1, max_size=8),
)
def test_after_inserts_deletes_and_re_analyses_it_is_dbscan_of_the_live_points(
    seed: int, min_samples: int, shards: int, batches: list[tuple[int, int]]
) -> None:
    """On a grid, so that distances tie and points coincide. Each step publishes some scans and reads some records."""
    rng = random.Random(seed)
    parameters = Parameters(eps=1.0, min_samples=min_samples)
    index = Shards(shards, eps_max=1.5)
    clustering, subscriber = Clustering(parameters), Subscriber()
    for scans, taken in batches:
        for _ in range(scans):
            scan = rng.randrange(12)
            if rng.random() < 0.25:
                index.withdraw(f"scan {scan}")
            else:
                faces = {f"{scan:02}{letter}": np.array([rng.randrange(7), rng.randrange(4)]) for letter in "abcd"}
                index.analyse(f"scan {scan}", dict(rng.sample(list(faces.items()), rng.randrange(5))))
        # The records of one shard are read in order; how many of each shard is random.
        batch: list[IndexMessage] = []
        while len(batch) < taken and any(index.unread):
            shard = rng.choice([unread for unread in index.unread if unread])
            batch.append(shard.pop(0))
        subscriber.assert_follows(clustering.apply(batch))
    rest = [record for shard in index.unread for record in shard]
    subscriber.assert_follows(clustering.apply(rest))
    names = sorted(index.points)
    points = np.array([index.points[name][2] for name in names], dtype=float).reshape(-1, 2)
    assert_is_dbscan(clustering, names, cdist(points, points))
    assert subscriber.assignments == assigned(clustering)


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("min_samples", [1, 3])
def test_order_batches_and_shards_change_neither_assignments_nor_ids(min_samples: int, shards: int) -> None:
    rng = np.random.default_rng(7)
    points = np.concatenate([rng.normal(centre, 0.6, (40, 3)) for centre in rng.uniform(-4, 4, (12, 3))])
    outcomes = []
    for count, order in ((1, 0), (shards, 1), (shards, 2)):
        index = Shards(count, eps_max=0.9)
        for i in range(0, len(points), 3):
            index.analyse(f"scan {i // 3}", {f"{i // 3}-{k}": point for k, point in enumerate(points[i : i + 3])})
        records = [one for shard in index.unread for one in shard]
        shuffled = random.Random(order)
        shuffled.shuffle(records)
        clustering = Clustering(Parameters(eps=0.6, min_samples=min_samples))
        while records:
            size = shuffled.choice([1, 7, 64])
            clustering.apply(records[:size])
            records = records[size:]
        outcomes.append(assigned(clustering))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len({it.cluster_id for it in outcomes[0].values()}) > 5


@pytest.mark.parametrize(("eps", "min_samples"), [(0.31, 1), (0.37, 1), (0.37, 3), (0.44, 1), (0.44, 4)])
def test_on_real_faces_it_is_dbscan_after_inserting_and_after_deleting_a_third(
    shared_data: Path, eps: float, min_samples: int
) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as data:
        vectors = data["E"][:2838].astype(np.float64)
        names = data["F"][:2838].tolist()
    assert_dbscan_after_inserts_and_deletes(names, cdist(vectors, vectors), Parameters(eps, min_samples))


@pytest.mark.parametrize(("eps", "min_samples"), [(0.31, 1), (0.37, 3), (0.44, 4)])
def test_on_an_album_it_is_dbscan_after_inserting_and_after_deleting_a_third(eps: float, min_samples: int) -> None:
    vectors = album(900, a_person=6).vectors.astype(np.float64)
    names = [f"face-{number:04}" for number in range(900)]
    assert_dbscan_after_inserts_and_deletes(names, cdist(vectors, vectors), Parameters(eps, min_samples))


def assert_dbscan_after_inserts_and_deletes(
    names: list[str], distances: npt.NDArray[np.float64], parameters: Parameters
) -> None:
    """Insert faces in an order of chance and delete the first third again: the clusters are right, then and then."""
    seed = int(parameters.eps * 100) + parameters.min_samples
    order = np.random.default_rng(seed).permutation(len(names))
    clustering, subscriber = Clustering(parameters), Subscriber()
    inserted: list[int] = []
    for start in range(0, len(order), 128):
        batch: list[IndexMessage] = []
        for i in order[start : start + 128].tolist():
            near = [j for j in inserted if distances[i, j] <= 0.5]
            edges = [(names[j], j, float(distances[i, j])) for j in near]
            batch.append(record(names[i], i, {names[i]: edges}, shard=0, eps_max=0.5))
            inserted.append(i)
        subscriber.assert_follows(clustering.apply(batch))
    assert_is_dbscan(clustering, names, distances)
    assert subscriber.assignments == assigned(clustering)
    third = len(order) // 3
    for start in range(0, third, 50):
        gone = [NeighboursWithdrawn(names[i], 0) for i in order[start : min(start + 50, third)]]
        subscriber.assert_follows(clustering.apply(gone))
    left = sorted(order[third:].tolist())
    assert_is_dbscan(clustering, [names[i] for i in left], distances[np.ix_(left, left)])
    assert subscriber.assignments == assigned(clustering)


def test_a_face_is_named_after_publication_time_not_after_arrival() -> None:
    clustering = Clustering(Parameters(eps=1.0))
    clustering.apply([record("late", 0, {"a": []}, minute=9)])
    clustering.apply([record("early", 1, {"z": [("a", 0, 0.5)]}, minute=3)])
    assert {it.cluster_id for it in clustering.assignments()} == {"z"}
    clustering.apply([record("as early", 2, {"y": [("z", 1, 0.5)]}, minute=3)])
    assert {it.cluster_id for it in clustering.assignments()} == {"y"}

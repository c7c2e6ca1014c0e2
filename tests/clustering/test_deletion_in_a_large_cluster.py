"""Any one face taken out of a cluster of 10,000: what is left is DBSCAN of what is left. (How fast: benchmarks.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from schemas.clusters import Role
from tests.builders.neighbours import record
from tests.builders.oracle import Subscriber, assigned

FACES = 10_000
EPS = 1.0
Draw = Callable[[np.random.Generator], npt.NDArray[np.float64]]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """Points, and the pairs within EPS with their distances."""

    one: Numbers
    other: Numbers
    distance: npt.NDArray[np.float64]

    @classmethod
    def of(cls, points: npt.NDArray[np.float64]) -> Shape:
        pairs = cKDTree(points).query_pairs(EPS, output_type="ndarray")
        return cls(pairs[:, 0], pairs[:, 1], np.sqrt(((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1)))

    def without(self, gone: int, min_samples: int) -> dict[str, tuple[str | None, Role]]:
        """DBSCAN from the definitions, in whole arrays."""
        held = (self.one != gone) & (self.other != gone)
        one, other, distance = self.one[held], self.other[held], self.distance[held]
        core = np.bincount(np.concatenate([one, other]), minlength=FACES) + 1 >= min_samples
        core[gone] = False
        both = core[one] & core[other]
        links = coo_array((np.ones(int(both.sum()), dtype=np.int8), (one[both], other[both])), (FACES, FACES))
        component = connected_components(links, directed=False)[1].astype(np.int64)
        component[~core] = -1
        owners, cores = np.concatenate([one, other]), np.concatenate([other, one])
        near = np.concatenate([distance, distance])
        offers = ~core[owners] & core[cores]
        owners, cores, near = owners[offers], cores[offers], near[offers]
        for i in np.lexsort((cores, near))[::-1].tolist():  # the nearest core, of two as near the lesser id, is last
            component[owners[i]] = component[cores[i]]
        oldest: dict[int, str] = {}
        for i, number in enumerate(component.tolist()):
            oldest.setdefault(number, _name(i))
        roles = [Role.CORE if is_core else Role.BORDER for is_core in core.tolist()]
        return {
            _name(i): (None, Role.NOISE) if number < 0 else (oldest[number], roles[i])
            for i, number in enumerate(component.tolist())
            if i != gone
        }


def _name(number: int) -> str:
    return f"{number:05}"


def _crowd(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.uniform(0, 22, (FACES, 2))


def _chain(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.permutation(np.column_stack([np.arange(FACES) * 0.9, np.zeros(FACES)]))


def _beads(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Groups of 98 faces on a string, two faces between each two groups: without one of these the cluster splits."""
    places = np.column_stack([np.arange(100) * 2.6, np.zeros(100)])
    groups = np.repeat(places, 98, axis=0) + rng.uniform(-0.2, 0.2, (9_800, 2))
    return rng.permutation(np.concatenate([groups, places + np.array([0.9, 0.0]), places + np.array([1.7, 0.0])]))


@pytest.mark.slow
@pytest.mark.parametrize("min_samples", [1, 3])
@pytest.mark.parametrize("draw", [_crowd, _chain, _beads], ids=["crowd", "chain", "beads"])
def test_what_is_left_after_any_deletion_is_dbscan_of_what_is_left(draw: Draw, min_samples: int) -> None:
    rng = np.random.default_rng(3)
    shape = Shape.of(draw(rng))
    whole = Clustering(Parameters(eps=EPS, min_samples=min_samples))
    earlier: list[list[tuple[str, int, float]]] = [[] for _ in range(FACES)]
    for i, j, distance in zip(shape.one.tolist(), shape.other.tolist(), shape.distance.tolist(), strict=True):
        earlier[max(i, j)].append((_name(min(i, j)), min(i, j), distance))
    whole.apply([record(_name(i), i, {_name(i): earlier[i]}, shards=1) for i in range(FACES)])
    assert list(whole.sizes().values()) == [FACES]
    before = assigned(whole)
    for gone in _chosen(rng, shape):
        clustering, subscriber = Clustering.of_state(whole.parameters, _copy(whole)), Subscriber()
        subscriber.assignments, subscriber.sizes = dict(before), whole.sizes()
        subscriber.assert_follows(clustering.apply([NeighboursWithdrawn(_name(gone), 0)]))
        right = shape.without(gone, min_samples)
        assert {name: (it.cluster_id, it.role) for name, it in subscriber.assignments.items()} == right
        assert {name: (it.cluster_id, it.role) for name, it in assigned(clustering).items()} == right


def _chosen(rng: np.random.Generator, shape: Shape) -> Iterator[int]:
    """The oldest and the youngest, those with the fewest and the most neighbours, and some of chance."""
    degrees = np.bincount(np.concatenate([shape.one, shape.other]), minlength=FACES)
    by_degree = np.argsort(degrees, kind="stable")
    yield from {0, FACES - 1, *by_degree[:4].tolist(), *by_degree[-2:].tolist(), *rng.integers(0, FACES, 4).tolist()}


def _copy(clustering: Clustering) -> dict[str, npt.NDArray[np.generic]]:
    return {name: column.copy() for name, column in clustering.state().items()}

"""Index and clustering together: the order, the batches and the number of shards change nothing of the result."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from calibration.reference import Reference
from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from index.entries import Analysed, Withdrawn
from index.face_index import FaceIndex
from index.parameters import Parameters as IndexParameters
from schemas.clusters import FaceAssigned
from schemas.neighbours import NeighboursFound, parse_neighbours_key
from tests.builders.analyses import Log, live, random_log
from tests.builders.neighbours import IndexMessage
from tests.builders.oracle import Subscriber, assert_is_dbscan, assigned
from tests.builders.references import reference_on_a_grid


@dataclass
class System:
    """The shards of an index, and the records of each that the clustering has not read yet."""

    parameters: Parameters
    shards: int
    reference: Reference | None = None

    def __post_init__(self) -> None:
        self.indexes = [
            FaceIndex(IndexParameters(shard=it, shards=self.shards, reference=self.reference))
            for it in range(self.shards)
        ]
        self.waiting: list[list[IndexMessage]] = [[] for _ in self.indexes]
        self.clustering, self.subscriber = Clustering(self.parameters), Subscriber()

    def take(self, batch: Sequence[Analysed | Withdrawn]) -> None:
        for index, waiting in zip(self.indexes, self.waiting, strict=True):
            waiting += [
                it if isinstance(it, NeighboursFound) else NeighboursWithdrawn(*parse_neighbours_key(it.key))
                for it in index.apply(batch)
            ]

    def read(self, rng: random.Random, count: int) -> None:
        """Cluster so many records, of whichever shards; those of one shard in their order."""
        batch: list[IndexMessage] = []
        while len(batch) < count and any(self.waiting):
            batch.append(rng.choice([it for it in self.waiting if it]).pop(0))
        self.subscriber.assert_follows(self.clustering.apply(batch))

    def assert_run(self, log: Log, rng: random.Random) -> dict[str, FaceAssigned]:
        """Run all of a log in batches of chance; whoever read only the deltas then knows what the clustering holds."""
        left = list(log)
        while left:
            size = rng.choice([1, 2, 5, 20])
            self.take(left[:size])
            del left[:size]
            self.read(rng, rng.choice([0, 1, 3, 40]))
        while any(self.waiting):
            self.read(rng, rng.choice([1, 3, 40]))
        assert self.subscriber.assignments == assigned(self.clustering)
        return self.subscriber.assignments


def _without_numbers(assignments: dict[str, FaceAssigned]) -> dict[str, FaceAssigned]:
    return {face_id: it.model_copy(update={"analysis": 0}) for face_id, it in assignments.items()}


many = st.tuples(
    st.randoms(use_true_random=False), st.integers(1, 40), st.integers(1, 5), st.sampled_from([0.25, 0.36, 0.5])
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(many)
def test_the_same_log_in_any_batches_through_any_shards_gives_the_same_assignments(
    given_: tuple[random.Random, int, int, float],
) -> None:
    rng, steps, min_samples, eps = given_
    log, parameters = random_log(rng, steps), Parameters(eps=eps, min_samples=min_samples)
    by_one = System(parameters, 1)
    for number, entry in enumerate(log):
        by_one.take([entry])
        by_one.read(rng, 1)
        entries = live(log[: number + 1])
        names = [face.face_id for it in entries for face in it.scan.faces]
        points = np.concatenate([np.empty((0, 128)), *(it.vectors for it in entries)])
        assert_is_dbscan(by_one.clustering, names, cdist(points, points))
    for shards in (1, 2, 4):
        assert System(parameters, shards).assert_run(log, rng) == by_one.subscriber.assignments


_GRID_REFERENCE = reference_on_a_grid()
rules = st.sampled_from(
    [
        (Parameters(eps=0.36, shared_weight=0.1, reach=0.5), None),
        (Parameters(eps=0.25, reference=_GRID_REFERENCE.name), _GRID_REFERENCE),
        (
            Parameters(
                eps=0.3, shared_weight=0.2, reach=0.5, most_neighbours=3, min_samples=2, reference=_GRID_REFERENCE.name
            ),
            _GRID_REFERENCE,
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40), rules)
def test_by_any_distance_and_rule_batches_shards_and_order_change_nothing(
    rng: random.Random, steps: int, rule: tuple[Parameters, Reference | None]
) -> None:
    parameters, reference = rule
    log = random_log(rng, steps)
    by_one = System(parameters, 1, reference).assert_run(log, rng)
    for shards in (1, 2, 4):
        assert System(parameters, shards, reference).assert_run(log, rng) == by_one
        entries = live(log)
        rng.shuffle(entries)
        another: Log = [Analysed(number, it.scan) for number, it in enumerate(entries)]
        in_another_order = System(parameters, shards, reference).assert_run(another, rng)
        assert _without_numbers(in_another_order) == _without_numbers(by_one)


@settings(max_examples=60, deadline=None)
@given(many)
def test_the_same_scans_in_another_order_give_the_same_clusters_and_ids(
    given_: tuple[random.Random, int, int, float],
) -> None:
    rng, steps, min_samples, eps = given_
    log, parameters = random_log(rng, steps), Parameters(eps=eps, min_samples=min_samples)
    left = _without_numbers(System(parameters, 1).assert_run(log, rng))
    for shards in (1, 2, 4):
        entries = live(log)
        rng.shuffle(entries)
        another: Log = [Analysed(number, it.scan) for number, it in enumerate(entries)]
        assert _without_numbers(System(parameters, shards).assert_run(another, rng)) == left

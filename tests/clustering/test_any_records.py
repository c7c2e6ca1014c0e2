"""Any records, in any order and batches: the state is a function of the latest ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from tests.builders.neighbours import Held, hold
from tests.builders.oracle import Subscriber, assert_as_expected
from tests.builders.random_archive import SCANS, WITH_SHARED_NEIGHBOURS, RandomArchive

parameters_of_all_kinds = st.builds(
    lambda shared, **others: Parameters(**shared, **others),
    st.sampled_from(WITH_SHARED_NEIGHBOURS),
    eps=st.sampled_from([1.0, 2.0, 2.5]),
    min_samples=st.integers(1, 5),
    min_sharpness=st.sampled_from([None, None, 50.0]),
    same_scan_eps=st.sampled_from([None, None, 1.0]),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds, st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_after_every_batch_the_assignments_follow_from_the_latest_records(
    rng: random.Random, parameters: Parameters, sizes: list[int]
) -> None:
    world = RandomArchive.drawn(rng)
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    for size in sizes:
        batch = [world.record(rng) for _ in range(size)]
        subscriber.assert_follows(clustering.apply(batch))
        hold(held, batch)
        assert_as_expected(clustering, subscriber, held)


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds)
def test_when_everything_is_withdrawn_nothing_is_left(rng: random.Random, parameters: Parameters) -> None:
    world = RandomArchive.drawn(rng)
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    for _ in range(10):
        batch = [world.record(rng) for _ in range(4)]
        subscriber.assert_follows(clustering.apply(batch))
        hold(held, batch)
    keys = list(held)
    rng.shuffle(keys)
    for key in keys:
        subscriber.assert_follows(clustering.apply([NeighboursWithdrawn(*key)]))
    assert_as_expected(clustering, subscriber, {})
    graph = clustering.graph
    assert (graph.records.scans.rows, graph.nodes.rows, graph.edges.rows) == (0, 0, 0)
    assert not graph.node_index._others and not graph.records._scan_slots
    names = [f"{scan}{letter}" for scan in range(SCANS) for letter in "abcd"]
    assert (graph.node_index._by_face.find(names) == -1).all()

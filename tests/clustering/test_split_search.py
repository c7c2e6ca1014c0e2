"""Deletions in larger clusters: every way of searching for components finds the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from clustering import split_search
from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from tests.builders.neighbours import Held, hold, record
from tests.builders.oracle import Subscriber, assert_as_expected

Pairs = set[tuple[int, int]]

_SEARCH_ONLY, _AS_IT_IS, _WHOLE_ONLY = 0, split_search._STEP, 10**9


def _random(count: int, pairs: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    return {(max(i, j), min(i, j)) for i, j in rng.integers(0, count, (pairs, 2)).tolist() if i != j}


def _path(count: int) -> Pairs:
    return {(i, i - 1) for i in range(1, count)}


def _star(count: int) -> Pairs:
    return {(i, 0) for i in range(1, count)}


def _blobs_with_a_bridge(count: int, seed: int) -> Pairs:
    half = count // 2
    one = _random(half, half * 4, seed)
    return one | {(i + half, j + half) for i, j in one} | {(half, 0)}


@pytest.mark.parametrize("step", [_SEARCH_ONLY, _AS_IT_IS, _WHOLE_ONLY])
@pytest.mark.parametrize("min_samples", [1, 3])
@pytest.mark.parametrize(
    "pairs",
    [
        _random(90, 110, 1),
        _random(90, 180, 2),
        _path(60),
        _path(40) | {(39, 0)},
        _star(60),
        _blobs_with_a_bridge(60, 3),
    ],
    ids=["sparse", "denser", "path", "ring", "star", "bridge"],
)
def test_what_is_left_after_each_deletion_follows_from_the_records(
    pairs: Pairs, min_samples: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_search, "_STEP", step)
    count = 1 + max(i for i, _ in pairs)
    clustering, subscriber, held = Clustering(Parameters(eps=1.0, min_samples=min_samples)), Subscriber(), Held()
    records = [
        record(str(i), i, {f"{i:03}": [(f"{b:03}", b, 0.5 + (i * b % 7) / 20) for a, b in sorted(pairs) if a == i]})
        for i in range(count)
    ]
    subscriber.assert_follows(clustering.apply(records))
    hold(held, records)
    assert_as_expected(clustering, subscriber, held)
    order = [0, *np.random.default_rng(count).permutation(np.arange(1, count)).tolist()]
    for start in range(0, 24, 2):
        withdrawn = [NeighboursWithdrawn(str(i), 0) for i in order[start : start + 1 + start % 4]]
        subscriber.assert_follows(clustering.apply(withdrawn))
        hold(held, withdrawn)
        assert_as_expected(clustering, subscriber, held)
    assert (clustering.graph.nodes.mark[: clustering.graph.nodes.used] == -1).all()


@pytest.mark.parametrize("step", [_SEARCH_ONLY, _AS_IT_IS, _WHOLE_ONLY])
@pytest.mark.parametrize("at_once", [1, 100, 10**9])
@pytest.mark.parametrize("min_samples", [1, 3])
def test_many_clusters_that_fall_apart_in_one_batch(
    min_samples: int, at_once: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_search, "_STEP", step)
    monkeypatch.setattr(split_search, "_AT_ONCE", at_once)
    count, clusters = 24, 7
    pairs = {
        (i + number * count, j + number * count)
        for number in range(clusters)
        for i, j in (_path(count), _blobs_with_a_bridge(count, number), _star(count))[number % 3]
    }
    clustering, subscriber, held = Clustering(Parameters(eps=1.0, min_samples=min_samples)), Subscriber(), Held()
    records = [
        record(str(i), i, {f"{i:03}": [(f"{b:03}", b, 0.5 + (i * b % 7) / 20) for a, b in sorted(pairs) if a == i]})
        for i in range(count * clusters)
    ]
    subscriber.assert_follows(clustering.apply(records))
    hold(held, records)
    for first in (0, 5, 12):
        withdrawn = [NeighboursWithdrawn(str(first + number * count), 0) for number in range(clusters)]
        before = len(clustering.sizes())
        subscriber.assert_follows(clustering.apply(withdrawn))
        hold(held, withdrawn)
        assert_as_expected(clustering, subscriber, held)
        if first == 5:
            assert len(clustering.sizes()) > before, "no cluster fell apart"

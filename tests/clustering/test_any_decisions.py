"""Any records and decisions, in any order and batches: the state is a function of the latest ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, ClusteringInput, NeighboursWithdrawn, Parameters
from clustering.what_if import hypothetical_clusters
from decisions.holding import DecisionDeleted
from schemas.decisions import (
    Decision,
    DecisionUndone,
)
from schemas.neighbours import NeighboursFound
from tests.builders.archive_history import SCANS, found, random_batch, random_decision
from tests.builders.decisions import a_decision
from tests.builders.neighbours import Held, hold
from tests.builders.oracle import Subscriber, assert_as_expected, assigned
from tests.builders.random_archive import WITH_SHARED_NEIGHBOURS

parameters_of_all_kinds = st.builds(
    lambda shared, **others: Parameters(**shared, **others),
    st.sampled_from(WITH_SHARED_NEIGHBOURS),
    eps=st.sampled_from([1.0, 2.0, 2.5]),
    min_samples=st.sampled_from([1, 1, 2, 3]),
    min_sharpness=st.sampled_from([None, 50.0]),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds, st.lists(st.integers(1, 6), min_size=1, max_size=14))
def test_after_every_batch_the_assignments_follow_from_records_and_decisions(
    rng: random.Random, parameters: Parameters, sizes: list[int]
) -> None:
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    decided: dict[str, Decision] = {}
    for size in sizes:
        batch = random_batch(rng, size)
        for it in batch:
            if isinstance(it, Decision):
                decided[it.decision_id] = it
            elif isinstance(it, DecisionDeleted):
                decided.pop(it.decision_id, None)
        subscriber.assert_follows(clustering.apply(batch))
        hold(held, [it for it in batch if not isinstance(it, Decision | DecisionDeleted)])
        assert_as_expected(clustering, subscriber, held, decided.values())


def _of_faces_and_decisions(rng: random.Random) -> tuple[list[NeighboursFound], list[Decision]]:
    return [found(rng, scan) for scan in range(SCANS)], [
        random_decision(rng, number) for number in range(rng.randrange(20))
    ]


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds)
def test_any_interleaving_of_faces_decisions_and_undos_has_the_same_result(
    rng: random.Random, parameters: Parameters
) -> None:
    records, decisions = _of_faces_and_decisions(rng)
    outcomes = []
    for _ in range(3):
        everything: list[ClusteringInput] = [*records, *decisions]
        rng.shuffle(everything)
        clustering = Clustering(parameters)
        while everything:
            size = rng.randrange(1, 8)
            clustering.apply(everything[:size])
            everything = everything[size:]
        outcomes.append((assigned(clustering), clustering.sizes()))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    partition = hypothetical_clusters(clustering, parameters.eps)
    assert dict(zip(partition.face_ids, partition.cluster_ids, strict=True)) == {
        face_id: it.cluster_id for face_id, it in assigned(clustering).items()
    }


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds)
def test_when_all_decisions_are_undone_or_deleted_the_clusters_are_dbscans_again(
    rng: random.Random, parameters: Parameters
) -> None:
    records, decisions = _of_faces_and_decisions(rng)
    plain, clustering, subscriber = Clustering(parameters), Clustering(parameters), Subscriber()
    plain.apply(records)
    subscriber.assert_follows(clustering.apply([*records, *decisions]))
    end: Sequence[ClusteringInput] = [
        a_decision(DecisionUndone, 60, decision_id=f"end of {it.decision_id}", undone_decision_id=it.decision_id)
        if not isinstance(it, DecisionUndone)
        else DecisionDeleted(it.decision_id)
        for it in decisions
    ]
    subscriber.assert_follows(clustering.apply(end))
    assert subscriber.assignments == assigned(clustering) == assigned(plain)
    assert clustering.sizes() == subscriber.sizes == plain.sizes()
    subscriber.assert_follows(clustering.apply([NeighboursWithdrawn(it.scan_id, 0) for it in records]))
    assert not subscriber.assignments
    assert not clustering.published_clusters._group_of
    assert clustering.published_clusters._constrained.clusters.rows == 0

"""Any records and decisions, in any order and batches: the state is a function of the latest ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, ClusteringInput, NeighboursWithdrawn, Parameters
from clustering.what_if import hypothetical_clusters
from decisions.holding import DecisionDeleted
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    PeopleMerged,
    PersonRemoved,
)
from schemas.neighbours import NeighboursFound
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision
from tests.builders.neighbours import Held, hold, record
from tests.builders.oracle import Subscriber, assert_as_expected, assigned

_SCANS = 4
_FACES = [f"{scan}{letter}" for scan in range(_SCANS) for letter in "abc"]
_LABELS = ["grace", "eileen", "marie"]
_DISTANCES = (0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 3.0)

parameters_of_all_kinds = st.builds(
    Parameters,
    eps=st.sampled_from([1.0, 2.0, 2.5]),
    min_samples=st.sampled_from([1, 1, 2, 3]),
    min_sharpness=st.sampled_from([None, 50.0]),
)


def found(rng: random.Random, scan: int, version: int = 0) -> NeighboursFound:
    """A scan whose faces lie near many others, so that there are clusters to decide on. Only its edges vary."""
    names = [f"{scan}{letter}" for letter in "abc"]
    edges = {name: [neighbour(rng) for _ in range(rng.choice([0, 1, 2, 2, 3]))] for name in names}
    blurred = names[scan : scan + 1 + version]
    return record(f"scan {scan}", version * _SCANS + scan, edges, minute=(2 * scan + version) % 3, blurred=blurred)


def neighbour(rng: random.Random) -> tuple[str, int, float]:
    scan, version = rng.randrange(_SCANS), rng.choice([0, 0, 0, 1])
    return f"{scan}{rng.choice('abc')}", version * _SCANS + scan, rng.choice(_DISTANCES)


def random_decision(rng: random.Random, number: int) -> Decision:
    """About any faces, there or not; an undo of any other decision, made or not."""
    one, other = rng.sample(_FACES, 2)
    label = rng.choice(_LABELS)
    at = NOON + timedelta(minutes=rng.randrange(8))
    made: dict[str, object] = {"decision_id": f"{number:02}", "decided_at": at}
    chance = rng.random()
    if chance < 0.3:
        return a_decision(FaceNamed, 0, face_id=one, label_id=label, name=label, **made)
    if chance < 0.33:
        return a_decision(NameTakenBack, 0, face_id=one, **made)
    if chance < 0.4:
        return a_decision(NameRejected, 0, face_id=one, label_id=label, **made)
    if chance < 0.55:
        return a_decision(NotAFace, 0, face_id=one, **made)
    if chance < 0.6:
        return a_decision(PersonRemoved, 0, label_id=label, **made)
    if chance < 0.67:
        label, other_label = rng.sample(_LABELS, 2)
        return a_decision(PeopleMerged, 0, label_id=label, other_label_id=other_label, **made)
    if chance < 0.78:
        return a_decision(FacesLinked, 0, face_id=one, other_face_id=other, **made)
    if chance < 0.9:
        return a_decision(FacesSeparated, 0, face_id=one, other_face_id=other, **made)
    return a_decision(DecisionUndone, 0, undone_decision_id=f"{rng.randrange(20):02}", **made)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), parameters_of_all_kinds, st.lists(st.integers(1, 6), min_size=1, max_size=14))
def test_after_every_batch_the_assignments_follow_from_records_and_decisions(
    rng: random.Random, parameters: Parameters, sizes: list[int]
) -> None:
    clustering, subscriber, held = Clustering(parameters), Subscriber(), Held()
    decided: dict[str, Decision] = {}
    for size in sizes:
        batch: list[ClusteringInput] = []
        for _ in range(size):
            chance = rng.random()
            if chance < 0.5:
                batch.append(random_decision(rng, rng.randrange(20)))
            elif chance < 0.55:
                batch.append(DecisionDeleted(f"{rng.randrange(20):02}"))
            elif chance < 0.6:
                batch.append(NeighboursWithdrawn(f"scan {rng.randrange(_SCANS)}", 0))
            else:
                batch.append(found(rng, rng.randrange(_SCANS), rng.choice([0, 0, 0, 1])))
        for it in batch:
            if isinstance(it, Decision):
                decided[it.decision_id] = it
            elif isinstance(it, DecisionDeleted):
                decided.pop(it.decision_id, None)
        subscriber.assert_follows(clustering.apply(batch))
        hold(held, [it for it in batch if not isinstance(it, Decision | DecisionDeleted)])
        assert_as_expected(clustering, subscriber, held, decided.values())


def _of_faces_and_decisions(rng: random.Random) -> tuple[list[NeighboursFound], list[Decision]]:
    return [found(rng, scan) for scan in range(_SCANS)], [
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

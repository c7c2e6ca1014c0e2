"""Every eps up to eps_max, from the graph alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, Parameters
from clustering.what_if import hypothetical_clusters
from schemas.clusters import Role
from tests.builders.decisions import linked
from tests.builders.neighbours import Held, hold, record
from tests.builders.oracle import expected_assignments
from tests.builders.random_archive import WITH_SHARED_NEIGHBOURS, RandomArchive


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    eps=st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.5]),
    min_samples=st.integers(1, 5),
    gate=st.sampled_from([None, 50.0]),
    same_scan_eps=st.sampled_from([None, 1.0]),
    shared=st.sampled_from(WITH_SHARED_NEIGHBOURS),
)
def test_the_clusters_at_another_eps_are_those_of_a_clustering_with_that_eps(
    seed: int, eps: float, min_samples: int, gate: float | None, same_scan_eps: float | None, shared: dict[str, Any]
) -> None:
    eps = min(eps, shared.get("reach", eps))
    rng = random.Random(seed)
    world = RandomArchive.drawn(rng)
    live = Clustering(Parameters(eps=2.0, min_samples=2, min_sharpness=gate, same_scan_eps=same_scan_eps, **shared))
    held = Held()
    for _ in range(6):
        batch = [world.record(rng) for _ in range(6)]
        live.apply(batch)
        hold(held, batch)
    hypothetical = hypothetical_clusters(live, eps, min_samples)
    right = expected_assignments(
        held, Parameters(eps, min_samples, min_sharpness=gate, same_scan_eps=same_scan_eps, **shared)
    )
    assert dict(zip(hypothetical.face_ids, hypothetical.cluster_ids, strict=True)) == {
        face_id: it.cluster_id for face_id, it in right.items()
    }
    assert dict(zip(hypothetical.face_ids, hypothetical.core.tolist(), strict=True)) == {
        face_id: it.role is Role.CORE for face_id, it in right.items()
    }


def test_without_constraints_the_clusters_are_those_of_the_rule_alone() -> None:
    clustering = Clustering(Parameters(eps=1.0))
    clustering.apply([record("1", 0, {"a": [], "b": [("a", 0, 2.0)]}), linked(0, "a", "b")])
    assert hypothetical_clusters(clustering, 1.0).sizes() == {"a": 2}
    assert hypothetical_clusters(clustering, 1.0, constrained=False).sizes() == {"a": 1, "b": 1}


def test_the_live_clustering_is_not_disturbed() -> None:
    clustering = Clustering(Parameters(eps=1.0))
    clustering.apply([record("1", 0, {"a": [], "b": [("a", 0, 2.0)]})])
    assert hypothetical_clusters(clustering, 2.0).sizes() == {"a": 2}
    assert clustering.sizes() == {"a": 1, "b": 1}
    assert hypothetical_clusters(clustering, 1.0).sizes() == clustering.sizes()


def test_an_empty_graph_has_no_clusters() -> None:
    hypothetical = hypothetical_clusters(Clustering(Parameters()), 0.3)
    assert (len(hypothetical.face_ids), len(hypothetical.core)) == (0, 0)
    assert hypothetical.sizes() == {}


def test_an_eps_beyond_eps_max_is_refused() -> None:
    clustering = Clustering(Parameters(eps=0.4))
    clustering.apply([record("1", 0, {"a": []}, eps_max=0.5)])
    with pytest.raises(ValueError, match=r"eps 0.6 is larger than eps_max 0.5"):
        hypothetical_clusters(clustering, 0.6)

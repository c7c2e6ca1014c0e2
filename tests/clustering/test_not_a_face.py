"""What is decided not to be a face is in no cluster, joins none, and comes back when that is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustering import snapshot
from clustering.clustering import Clustering, ClusteringInput, DecisionDeleted, Parameters
from clustering.what_if import hypothetical_clusters
from schemas.decisions import Decision
from tests.builders.decisions import linked, merged, named, not_a_face, removed, undone
from tests.builders.neighbours import Held, hold, record
from tests.builders.oracle import Subscriber, assert_as_expected, assigned

PARAMETERS = Parameters(eps=1.0, min_samples=2)
# The bridge b joins a with c; e is noise beside the pair.
CHAIN = (
    record("scan a", 0, {"a": [], "e": [("a", 0, 5.0)]}),
    record("scan b", 1, {"b": [("a", 0, 0.5)]}),
    record("scan c", 2, {"c": [("b", 1, 0.5)]}),
)


def clusters(clustering: Clustering) -> dict[str, str | None]:
    return {face_id: it.cluster_id for face_id, it in assigned(clustering).items()}


def follow(clustering: Clustering, subscriber: Subscriber, *batch: ClusteringInput) -> None:
    subscriber.assert_follows(clustering.apply(batch))


def test_a_bridge_that_is_not_a_face_connects_nothing_until_that_is_undone() -> None:
    clustering, subscriber, held = Clustering(PARAMETERS), Subscriber(), Held()
    hold(held, CHAIN)
    follow(clustering, subscriber, *CHAIN)
    before = assigned(clustering)
    assert clusters(clustering) == {"a": "a", "b": "a", "c": "a", "e": None}
    follow(clustering, subscriber, not_a_face(1, "b"))
    assert clusters(clustering) == {"a": None, "c": None, "e": None}
    assert_as_expected(clustering, subscriber, held, [not_a_face(1, "b")])
    assert "b" not in hypothetical_clusters(clustering, 1.0).face_ids
    follow(clustering, subscriber, undone(2, "001"))
    assert assigned(clustering) == subscriber.assignments == before


def test_it_stays_out_when_its_scan_is_analysed_again() -> None:
    clustering, subscriber = Clustering(PARAMETERS), Subscriber()
    follow(clustering, subscriber, *CHAIN, not_a_face(1, "b"))
    again = record("scan b", 3, {"b": [("a", 0, 0.5), ("c", 2, 0.5)]})
    follow(clustering, subscriber, again)
    assert "b" not in subscriber.assignments
    follow(clustering, subscriber, DecisionDeleted("001"))
    assert subscriber.assignments == assigned(clustering)
    assert subscriber.assignments["b"].analysis == 3


def test_its_names_and_links_do_nothing_to_others() -> None:
    decisions = (named(1, "c", "grace"), linked(2, "b", "e"), not_a_face(3, "b"))
    clustering, subscriber, held = Clustering(PARAMETERS), Subscriber(), Held()
    hold(held, CHAIN)
    follow(clustering, subscriber, *CHAIN, *decisions)
    assert_as_expected(clustering, subscriber, held, decisions)
    assert (assigned(clustering)["a"].soft_label, assigned(clustering)["e"].cluster_id) == (None, None)


@pytest.mark.parametrize(
    ("since", "is_there"), [((), False), ((undone(2, "001"),), True), ((DecisionDeleted("001"),), True)]
)
def test_a_snapshot_has_no_decisions_and_they_are_applied_to_it(
    tmp_path: Path, since: tuple[Decision | DecisionDeleted, ...], is_there: bool
) -> None:
    clustering, decision = Clustering(PARAMETERS), not_a_face(1, "b")
    clustering.apply([*CHAIN, decision])
    snapshot.save(clustering, tmp_path, 3)
    restored = snapshot.load(tmp_path, PARAMETERS).clustering
    restored.apply([record("scan d", 3, {"d": [("b", 1, 0.5)]})])
    # A restart reads what is left of the topic: of a decision that was deleted nothing, or the tombstone.
    restored.apply([] if DecisionDeleted("001") in since else [decision, *since])
    expected = Clustering(PARAMETERS)
    expected.apply([*CHAIN, record("scan d", 3, {"d": [("b", 1, 0.5)]}), decision, *since])
    assert assigned(restored) == assigned(expected)
    assert ("b" in assigned(restored)) is is_there
    assert restored.sizes() == expected.sizes()


def test_a_merge_of_people_is_one_label_in_the_clusters_and_a_removal_none() -> None:
    clustering, subscriber, held = Clustering(PARAMETERS), Subscriber(), Held()
    hold(held, CHAIN)
    names = (named(1, "a", "grace"), named(2, "c", "gracie"))
    follow(clustering, subscriber, *CHAIN, *names)
    assert len(subscriber.assignments["b"].distribution) == 2
    follow(clustering, subscriber, merged(3, "grace", "gracie"))
    found = subscriber.assignments
    assert (found["c"].hard_label, [it.label_id for it in found["b"].distribution]) == ("grace", ["grace"])
    follow(clustering, subscriber, removed(4, "grace"))
    assert {it.hard_label or it.soft_label for it in subscriber.assignments.values()} == {None}
    follow(clustering, subscriber, undone(5, "004"), undone(6, "003"))
    assert_as_expected(clustering, subscriber, held, [*names, merged(3, "grace", "gracie"), undone(6, "003")])

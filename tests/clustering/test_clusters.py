"""What happens to clusters, one case at a time."""

from __future__ import annotations

import pytest

from clustering import cluster_changes
from clustering.clustering import Clustering, Delta, NeighboursWithdrawn, Parameters
from clustering.redirects import Redirects
from schemas.clusters import Change, ClusterChanged, Role
from tests.builders.neighbours import Edge, IndexMessage, record
from tests.builders.oracle import assigned

Log = list[tuple[str, Change, int]]


def face(face_id: str, analysis: int, *edges: Edge, minute: int | None = None) -> IndexMessage:
    """A scan with one face; the scan is called after it."""
    return record(f"scan of {face_id}", analysis, {face_id: edges}, minute=minute)


def without(face_id: str) -> IndexMessage:
    return NeighboursWithdrawn(f"scan of {face_id}", 0)


def log(delta: Delta) -> Log:
    return [(it.cluster_id, it.change, it.size) for it in delta.changes]


def clusters(clustering: Clustering) -> dict[str, str | None]:
    return {face_id: it.cluster_id for face_id, it in assigned(clustering).items()}


def made(*batch: IndexMessage, min_samples: int = 1) -> Clustering:
    clustering = Clustering(Parameters(eps=1.0, min_samples=min_samples))
    clustering.apply(batch)
    return clustering


def test_a_lone_face_is_a_cluster_of_its_own_or_noise() -> None:
    assert clusters(made(face("a", 0))) == {"a": "a"}
    assert clusters(made(face("a", 0), min_samples=2)) == {"a": None}


def test_the_face_itself_counts_and_eps_itself_is_near() -> None:
    assert clusters(made(face("a", 0), face("b", 1, ("a", 0, 1.0)), min_samples=2)) == {"a": "a", "b": "a"}
    assert clusters(made(face("a", 0), face("b", 1, ("a", 0, 1.0001)), min_samples=2)) == {"a": None, "b": None}


def test_a_bridge_face_merges_two_clusters() -> None:
    clustering = made(face("a", 0), face("b", 1))
    delta = clustering.apply([face("c", 2, ("a", 0, 0.9), ("b", 1, 0.9))])
    assert log(delta) == [("a", Change.GROWN, 3), ("b", Change.MERGED, 0)]
    assert delta.changes[1].successor == "a"
    assert [it.face_id for it in delta.assignments] == ["b", "c"]


def test_without_its_bridge_a_cluster_splits() -> None:
    clustering = made(face("a", 0), face("b", 1), face("c", 2, ("a", 0, 0.9), ("b", 1, 0.9)))
    delta = clustering.apply([without("c")])
    assert log(delta) == [("a", Change.SPLIT, 1), ("b", Change.CREATED, 1)]
    assert delta.changes[0].parts == ("a", "b")
    assert delta.removed == ("c",)
    assert [it.face_id for it in delta.assignments] == ["b"]


def test_without_its_oldest_face_a_cluster_goes_on_under_the_next() -> None:
    clustering = made(face("a", 0), face("b", 1, ("a", 0, 0.5)), face("c", 2, ("a", 0, 0.5), ("b", 1, 0.5)))
    delta = clustering.apply([without("a")])
    assert log(delta) == [("a", Change.RETIRED, 0), ("b", Change.CREATED, 2)]
    assert delta.changes[0].successor == "b"
    assert clusters(clustering) == {"b": "b", "c": "b"}


def test_a_cluster_whose_oldest_face_takes_the_id_along_is_retired_and_not_split() -> None:
    """The blurred b, the oldest face, is a border: first of a's cluster, then of that of c, which is nearer."""
    clustering = Clustering(Parameters(eps=1.0, min_sharpness=50.0))
    b = record("scan of b", 0, {"b": ()}, blurred=["b"])
    clustering.apply([b, face("a", 1, ("b", 0, 0.9))])
    assert clusters(clustering) == {"a": "b", "b": "b"}
    delta = clustering.apply([face("c", 2, ("b", 0, 0.5))])
    assert clusters(clustering) == {"a": "a", "b": "b", "c": "b"}
    assert log(delta) == [("b", Change.RETIRED, 0), ("a", Change.CREATED, 1), ("b", Change.CREATED, 2)]
    assert delta.changes[0].successor == "a"


def test_a_cluster_that_splits_without_its_oldest_face_is_superseded_by_its_oldest_core() -> None:
    clustering = Clustering(Parameters(eps=1.0, min_sharpness=50.0))
    old = record("scan of old", 0, {"old": ()}, blurred=["old"])
    left, right = face("left", 1, ("old", 0, 0.9)), face("right", 2)
    clustering.apply([old, left, right, face("between", 3, ("left", 1, 0.9), ("right", 2, 0.9))])
    assert clustering.sizes() == {"old": 4}
    delta = clustering.apply([without("between"), face("new", 4, ("old", 0, 0.5))])
    assert [(one.cluster_id, one.change, one.parts, one.successor) for one in delta.changes[:2]] == [
        ("old", Change.SPLIT, ("left", "right"), None),
        ("old", Change.RETIRED, (), "left"),
    ]
    assert log(delta)[2:] == [("left", Change.CREATED, 1), ("old", Change.CREATED, 2), ("right", Change.CREATED, 1)]


def test_a_split_into_very_many_is_reported_in_several_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_changes, "MAX_PARTS", 2)
    clustering = made(*(face(name, i) for i, name in enumerate("abcde")))
    clustering.apply([face("hub", 5, *((name, i, 0.9) for i, name in enumerate("abcde")))])
    delta = clustering.apply([without("hub")])
    splits = [one.parts for one in delta.changes if one.change is Change.SPLIT]
    assert splits == [("a", "b"), ("c", "d"), ("e",)]


def test_the_last_face_of_a_cluster_retires_it_for_good() -> None:
    delta = made(face("a", 0)).apply([without("a")])
    assert delta == Delta((ClusterChanged(cluster_id="a", change=Change.RETIRED, size=0),), (), ("a",))


def test_an_older_face_that_comes_late_renames_the_cluster_and_leaves_a_redirect() -> None:
    clustering = made(face("a", 0, minute=5), face("b", 1, ("a", 0, 0.5), minute=6))
    delta = clustering.apply([face("z", 2, ("b", 1, 0.5), minute=1)])
    assert log(delta) == [("a", Change.MERGED, 0), ("z", Change.CREATED, 3)]
    assert delta.changes[0].successor == "z"


def test_a_face_absorbed_without_a_new_core_joins() -> None:
    """The case the 1998 paper leaves out: the new face makes no face core, yet has a core neighbour."""
    clustering = made(face("a", 0), face("b", 1, ("a", 0, 0.1)), face("c", 2, ("a", 0, 0.1)), min_samples=3)
    delta = clustering.apply([face("d", 3, ("a", 0, 0.9))])
    assert log(delta) == [("a", Change.GROWN, 4)]
    assert [(it.face_id, it.role) for it in delta.assignments] == [("d", Role.BORDER)]


def test_one_face_may_create_absorb_and_merge_at_once() -> None:
    """b and c are clusters; d and e noise; f, near all of them, makes e core, and e's neighbour joins."""
    clustering = made(
        *(face(f"b{i}", i, *((f"b{j}", j, 0.5) for j in range(i))) for i in range(3)),
        *(face(f"c{i}", 3 + i, *((f"c{j}", 3 + j, 0.5) for j in range(i))) for i in range(3)),
        face("d", 6),
        face("e", 7, ("d", 6, 0.8)),
        face("far", 8, ("e", 7, 1.5)),
        min_samples=3,
    )
    assert clusters(clustering)["d"] is None
    delta = clustering.apply([face("f", 9, ("b0", 0, 0.7), ("c0", 3, 0.7), ("e", 7, 0.7))])
    assert log(delta) == [("b0", Change.GROWN, 9), ("c0", Change.MERGED, 0)]
    assert clusters(clustering)["far"] is None
    assert assigned(clustering)["d"].role is Role.BORDER


def test_a_border_goes_to_its_nearest_core_and_of_two_as_near_to_the_lesser_id() -> None:
    two = [
        *(face(f"p{i}", i, *((f"p{j}", j, 0.5) for j in range(i))) for i in range(4)),
        *(face(f"q{i}", 4 + i, *((f"q{j}", 4 + j, 0.5) for j in range(i))) for i in range(4)),
    ]
    nearer_q = made(*two, face("x", 8, ("p0", 0, 0.9), ("q0", 4, 0.8)), min_samples=4)
    assert clusters(nearer_q)["x"] == "q0"
    as_near = made(*two, face("x", 8, ("q0", 4, 0.9), ("p0", 0, 0.9)), min_samples=4)
    assert clusters(as_near)["x"] == "p0"
    delta = as_near.apply([without("p1"), without("p2")])
    assert clusters(as_near)["x"] == "q0"
    assert assigned(as_near)["p0"].cluster_id is None
    assert ("q0", Change.GROWN, 5) in log(delta)


def test_an_edge_counts_once_both_ends_are_there_whichever_came_first() -> None:
    clustering = made(face("b", 1, ("a", 0, 0.5)))
    assert clusters(clustering) == {"b": "b"}
    clustering.apply([face("a", 0)])
    assert clusters(clustering) == {"a": "a", "b": "a"}


def test_an_edge_to_an_analysis_that_was_replaced_does_not_count() -> None:
    clustering = made(face("a", 0), face("b", 1, ("a", 0, 0.5)))
    delta = clustering.apply([face("a", 2, minute=0)])
    assert clusters(clustering) == {"a": "a", "b": "b"}
    assert [(it.face_id, it.analysis, it.cluster_id) for it in delta.assignments] == [("a", 2, "a"), ("b", 1, "b")]
    assert delta.removed == ()
    clustering.apply([face("c", 3, ("a", 0, 0.1))])
    assert clusters(clustering)["c"] == "c"


def test_of_a_pair_that_is_published_twice_the_smaller_distance_counts() -> None:
    clustering = made(face("a", 0, ("b", 1, 1.2)), face("b", 1, ("a", 0, 0.9)))
    assert clusters(clustering) == {"a": "a", "b": "a"}


def test_a_fuller_record_of_the_same_analysis_adds_its_edges() -> None:
    clustering = made(face("a", 0), face("b", 1))
    delta = clustering.apply([face("b", 1, ("a", 0, 0.5))])
    assert log(delta) == [("a", Change.GROWN, 2), ("b", Change.MERGED, 0)]
    assert clustering.apply([face("b", 1, ("a", 0, 0.5))]) == Delta()


def test_an_older_analysis_of_the_same_shard_is_ignored() -> None:
    clustering = made(face("a", 5))
    assert clustering.apply([record("scan of a", 4, {"other": []})]) == Delta()


def test_a_scan_lives_while_any_shard_holds_it() -> None:
    clustering = Clustering(Parameters(eps=1.0))
    parts = [record("s", 0, {"a": []}, shard=shard, shards=2) for shard in (0, 1)]
    clustering.apply(parts)
    assert clustering.apply([NeighboursWithdrawn("s", 1)]) == Delta()
    assert clustering.apply([NeighboursWithdrawn("s", 0)]).removed == ("a",)
    assert clustering.apply([NeighboursWithdrawn("s", 0), NeighboursWithdrawn("never seen", 0)]) == Delta()


def test_a_blurred_face_does_not_chain_two_people_together() -> None:
    clustering = Clustering(Parameters(eps=1.0, min_sharpness=50.0))
    batch = [face("a", 0), face("b", 1), record("s", 2, {"x": [("a", 0, 0.9), ("b", 1, 0.8)]}, blurred=["x"])]
    clustering.apply(batch)
    assert clusters(clustering) == {"a": "a", "b": "b", "x": "b"}
    assert assigned(clustering)["x"].role is Role.BORDER


@pytest.mark.parametrize("gate", [{"min_size_px": 101.0}, {"min_score": 1.5}, {"min_sharpness": 101.0}])
def test_a_face_below_any_gate_is_never_core(gate: dict[str, float]) -> None:
    clustering = Clustering(Parameters(eps=1.0, **gate))  # type: ignore[arg-type]
    clustering.apply([face("a", 0), face("b", 1, ("a", 0, 0.1))])
    assert {it.role for it in clustering.assignments()} == {Role.NOISE}


def test_two_faces_of_one_scan_are_not_neighbours_unless_nearly_the_same() -> None:
    clustering = Clustering(Parameters(eps=1.0, same_scan_eps=0.2))
    clustering.apply([record("s", 0, {"a": [("b", 0, 0.3), ("c", 0, 0.2)], "b": [], "c": []})])
    assert clusters(clustering) == {"a": "a", "b": "b", "c": "a"}
    clustering.apply([record("t", 1, {"d": [("a", 0, 0.9), ("b", 0, 0.9)]})])
    assert len(set(clusters(clustering).values())) == 1


def test_redirects_resolve_in_one_step_however_often_a_cluster_was_superseded() -> None:
    clustering, redirects = Clustering(Parameters(eps=1.0)), Redirects()
    for batch in (
        [face("c", 0, minute=3), face("b", 1, minute=2), face("a", 2, minute=1)],
        [face("bc", 3, ("b", 1, 0.5), ("c", 0, 0.5))],
        [face("ab", 4, ("a", 2, 0.5), ("b", 1, 0.5))],
    ):
        redirects.follow(clustering.apply(batch).changes)
    assert [redirects.resolve(name) for name in "abc"] == ["a", "a", "a"]
    redirects.follow(clustering.apply([without("bc")]).changes)
    assert redirects.resolve("c") == "c"
    redirects.follow(clustering.apply([without("a"), without("b"), without("ab")]).changes)
    assert [redirects.resolve(name) for name in "abc"] == [None, None, "c"]


def test_a_record_that_reaches_less_far_than_eps_is_refused() -> None:
    clustering = Clustering(Parameters(eps=0.6))
    with pytest.raises(ValueError, match=r"scan 's', shard 0, holds neighbours up to eps_max 0.5 only, but eps is 0.6"):
        clustering.apply([record("s", 0, {"a": []}, eps_max=0.5)])
    assert clustering.sizes() == {}


@pytest.mark.parametrize("wrong", [{"eps": 0.0}, {"min_samples": 0}, {"same_scan_eps": -1.0}, {"eps": float("nan")}])
def test_parameters_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|at least"):
        Parameters(**wrong)  # type: ignore[arg-type]

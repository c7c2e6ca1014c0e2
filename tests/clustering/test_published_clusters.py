"""What names, rejections, links and separations do to clusters, one case at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.sparse import csr_array

from clustering import labelling
from clustering.certainty import CALIBRATED, Curve, Probabilities, along_best_paths
from clustering.clustering import (
    Clustering,
    ClusteringInput,
    DecisionDeleted,
    Delta,
    NeighboursWithdrawn,
    Parameters,
)
from clustering.columns.arrays import Mask, Slots
from schemas.clusters import Change, Role
from schemas.decisions import Decision, NameRejected
from schemas.neighbours import NeighboursFound
from tests.builders.decisions import a_decision, linked, named, separated, undone
from tests.builders.neighbours import Edge, record
from tests.builders.oracle import assigned, probabilities
from tests.builders.oracle_decisions import MIDDLE, WIDTH


def face(face_id: str, analysis: int, *edges: Edge, minute: int | None = None) -> NeighboursFound:
    return record(f"scan of {face_id}", analysis, {face_id: edges}, minute=minute, shards=1)


def made(*batch: ClusteringInput, eps: float = 1.0, min_samples: int = 1) -> Clustering:
    clustering = Clustering(Parameters(eps=eps, min_samples=min_samples))
    clustering.apply(batch)
    return clustering


def clusters(clustering: Clustering) -> dict[str, str | None]:
    return {face_id: it.cluster_id for face_id, it in assigned(clustering).items()}


def log(delta: Delta) -> list[tuple[str, Change, int]]:
    return [(it.cluster_id, it.change, it.size) for it in delta.changes]


def one_person(distance: float) -> float:
    """The probability that neighbours at this distance are one person."""
    return float(Curve(MIDDLE, WIDTH)(np.array([distance]))[0])


CHAIN: Sequence[ClusteringInput] = (
    face("a", 0),
    face("b", 1, ("a", 0, 0.2)),
    face("c", 2, ("b", 1, 0.9)),
    face("d", 3, ("c", 2, 0.2)),
)


def test_two_names_at_two_ends_of_a_cluster_divide_it() -> None:
    found = assigned(made(*CHAIN, named(1, "a", "grace"), named(2, "d", "eileen")))
    assert (found["a"].hard_label, found["a"].soft_label, found["a"].distribution) == ("grace", None, ())
    assert [it.soft_label.label_id for it in (found["b"], found["c"]) if it.soft_label] == ["grace", "eileen"]
    # The rest is that b is not the person of a, its nearest named face.
    assert sum(probabilities(found["b"]).values()) == pytest.approx(one_person(0.2), abs=1e-4)
    assert {it.cluster_id for it in found.values()} == {"a"}


def test_with_one_name_a_face_is_less_probable_the_further_away_it_is_along_the_cluster() -> None:
    found = assigned(made(*CHAIN, named(1, "a", "grace")))
    expected = np.cumprod([one_person(distance) for distance in (0.2, 0.9, 0.2)])
    assert [probabilities(found[face_id])["grace"] for face_id in "bcd"] == pytest.approx(expected, abs=1e-4)
    assert found["a"].distribution == ()


def test_a_soft_label_is_certain_where_an_archivist_linked_the_face_with_a_named_one_and_nowhere_else() -> None:
    same = (face("x", 4, ("a", 0, 0.0)), face("y", 5), linked(1, "y", "a"))
    found = assigned(made(*CHAIN, *same, named(2, "a", "grace")))
    assert probabilities(found["y"]) == {"grace": 1.0}
    assert max(probabilities(found[face_id])["grace"] for face_id in "bcdx") < 1


def test_a_calibrated_distance_has_a_curve_of_its_own() -> None:
    parameters = Parameters(eps=0.5, reference="some")
    clustering = Clustering(parameters)
    one, other = face("a", 0), face("b", 1, ("a", 0, 0.4))
    clustering.apply([it.model_copy(update={"reference": "some"}) for it in (one, other)])
    clustering.apply([named(1, "a", "grace")])
    expected = float(CALIBRATED(np.array([0.4]))[0])
    assert probabilities(assigned(clustering)["b"]) == {"grace": pytest.approx(expected, abs=1e-4)}


def test_faces_of_a_cluster_without_a_name_have_no_suggestion() -> None:
    found = assigned(made(*CHAIN, face("x", 4), face("y", 5, ("x", 4, 0.5)), named(1, "a", "grace")))
    assert {face_id for face_id, it in found.items() if it.soft_label} == {"b", "c", "d"}


def test_a_rejected_name_is_not_suggested_and_less_probable_beyond() -> None:
    reject = a_decision(NameRejected, 2, face_id="c", label_id="grace")
    found = assigned(made(*CHAIN, named(1, "a", "grace"), reject))
    assert found["c"].distribution == ()
    assert found["d"].distribution == ()
    assert probabilities(found["b"])["grace"] == pytest.approx(0.8235 * one_person(0.2), abs=1e-4)


def test_a_separation_cuts_a_cluster_where_it_is_least_similar_and_its_undo_mends_it() -> None:
    clustering = made(*CHAIN)
    delta = clustering.apply([separated(1, "a", "d")])
    assert clusters(clustering) == {"a": "a", "b": "a", "c": "c", "d": "c"}
    assert log(delta) == [("a", Change.SPLIT, 2), ("c", Change.CREATED, 2)]
    assert delta.changes[0].parts == ("a", "c")
    assert [it.face_id for it in delta.assignments] == ["c", "d"]
    delta = clustering.apply([undone(2, "001")])
    assert set(clusters(clustering).values()) == {"a"}
    assert log(delta) == [("a", Change.GROWN, 4), ("c", Change.MERGED, 0)]


def test_linked_faces_are_in_one_cluster_with_all_that_is_with_them_until_that_is_undone() -> None:
    clustering = made(*CHAIN, face("x", 4), face("y", 5, ("x", 4, 0.5)))
    delta = clustering.apply([linked(1, "d", "y")])
    assert set(clusters(clustering).values()) == {"a"}
    assert log(delta) == [("a", Change.GROWN, 6), ("x", Change.MERGED, 0)]
    delta = clustering.apply([undone(2, "001")])
    assert clusters(clustering)["y"] == "x"
    assert clustering.sizes() == {"a": 4, "x": 2}


def test_linked_noise_is_a_cluster_of_borders_and_noise_again_without_the_link() -> None:
    clustering = made(face("a", 0), face("b", 1), linked(1, "b", "a"), min_samples=2)
    assert clusters(clustering) == {"a": "a", "b": "a"}
    assert {it.role for it in assigned(clustering).values()} == {Role.BORDER}
    delta = clustering.apply([undone(2, "001")])
    assert {it.role for it in assigned(clustering).values()} == {Role.NOISE}
    assert [(it.cluster_id, it.change, it.successor) for it in delta.changes] == [("a", Change.RETIRED, None)]


@pytest.mark.parametrize("decision", [named(1, "a", "grace"), separated(1, "a", "d"), linked(1, "d", "x")])
@pytest.mark.parametrize("withdrawn", ["scan of a", "scan of d", "no scan"])
def test_the_tombstone_of_the_only_decision_ends_what_it_did(decision: Decision, withdrawn: str) -> None:
    faces = [*CHAIN, face("x", 4)]
    clustering = made(*faces, decision)
    clustering.apply([NeighboursWithdrawn(withdrawn, 0), DecisionDeleted(decision.decision_id)])
    plain = made(*faces, NeighboursWithdrawn(withdrawn, 0))
    assert assigned(clustering) == assigned(plain)
    assert clustering.sizes() == plain.sizes()


def test_a_name_reaches_over_a_link() -> None:
    clustering = made(*CHAIN, face("x", 4), linked(1, "d", "x"), named(2, "x", "grace"))
    assert probabilities(assigned(clustering)["a"]).keys() == {"grace"}
    assert probabilities(assigned(clustering)["d"]) == {"grace": 1.0}


def test_between_a_separation_and_a_chain_of_links_the_separation_wins_and_the_earlier_link() -> None:
    clustering = made(
        face("a", 0), face("b", 1), face("c", 2), linked(1, "a", "b"), linked(2, "b", "c"), separated(3, "a", "c")
    )
    assert clusters(clustering) == {"a": "a", "b": "a", "c": "c"}


def test_faces_separated_from_one_and_not_from_another_stay_with_the_other() -> None:
    near = [face("a", 0), face("b", 1, ("a", 0, 0.1)), face("c", 2, ("a", 0, 0.5), ("b", 1, 0.1))]
    clustering = made(*near, separated(1, "a", "b"), separated(2, "b", "c"))
    assert clusters(clustering) == {"a": "a", "b": "b", "c": "a"}


def test_decisions_hold_for_a_face_that_is_analysed_again_and_wait_for_one_that_is_gone() -> None:
    clustering = made(*CHAIN, separated(1, "a", "d"), named(2, "d", "grace"))
    clustering.apply([face("d", 9, ("a", 0, 0.1), minute=3)])
    found = assigned(clustering)
    assert (found["d"].analysis, found["d"].hard_label) == (9, "grace")
    assert found["d"].cluster_id != found["a"].cluster_id
    clustering.apply([NeighboursWithdrawn("scan of d", 0)])
    assert set(clusters(clustering).values()) == {"a"}
    clustering.apply([face("d", 11, ("a", 0, 0.1), minute=3)])
    found = assigned(clustering)
    assert found["d"].hard_label == "grace"
    assert found["d"].cluster_id != found["a"].cluster_id


def test_a_border_joins_the_nearest_core_that_it_may_and_no_second_one() -> None:
    two = [
        *(face(f"p{i}", i, *((f"p{j}", j, 0.5) for j in range(i))) for i in range(4)),
        *(face(f"q{i}", 4 + i, *((f"q{j}", 4 + j, 0.5) for j in range(i))) for i in range(4)),
    ]
    border = face("x", 8, ("p0", 0, 0.8), ("q0", 4, 0.9))
    bridge = linked(1, "p3", "q3")
    clustering = made(*two, border, bridge, separated(2, "p1", "x"), separated(3, "p2", "q2"), min_samples=4)
    found = clusters(clustering)
    assert found["x"] == found["q0"] != found["p0"]


def test_when_a_named_border_leaves_for_another_cluster_the_suggestions_it_made_end() -> None:
    four = [face(f"p{i}", i, *((f"p{j}", j, 0.5) for j in range(i))) for i in range(4)]
    clustering = made(*four, face("x", 4, ("p0", 0, 0.9)), named(1, "x", "grace"), min_samples=4)
    assert probabilities(assigned(clustering)["p1"]).keys() == {"grace"}
    others = [face(f"q{i}", 5 + i, *((f"q{j}", 5 + j, 0.5) for j in range(i))) for i in range(3)]
    clustering.apply([*others, face("q3", 8, *((f"q{j}", 5 + j, 0.5) for j in range(3)), ("x", 4, 0.1))])
    found = assigned(clustering)
    assert found["x"].cluster_id == found["q0"].cluster_id
    assert found["p1"].soft_label is None
    assert probabilities(found["q0"]).keys() == {"grace"}


def test_a_fuller_record_moves_the_probabilities() -> None:
    clustering = made(*CHAIN, named(1, "a", "grace"), named(2, "d", "eileen"))
    before = probabilities(assigned(clustering)["c"])["grace"]
    delta = clustering.apply([face("c", 2, ("b", 1, 0.9), ("a", 0, 0.3))])
    assert probabilities(assigned(clustering)["c"])["grace"] > before + 0.2
    assert "c" in {it.face_id for it in delta.assignments}


def test_a_face_that_was_named_twice_carries_the_last_name_and_suggests_it() -> None:
    clustering = made(*CHAIN, named(2, "a", "grace"), named(1, "a", "eileen"))
    assert assigned(clustering)["a"].hard_label == "grace"
    assert probabilities(assigned(clustering)["d"]).keys() == {"grace"}


@pytest.mark.slow
def test_a_changed_label_touches_no_other_cluster_among_fifty_thousand_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,500 people of 20 faces; some have a name already, the one that is named here too."""
    looked_at: list[int] = []

    def counted(edges: csr_array, named: Slots, closed: Mask) -> Probabilities:
        looked_at.append(len(closed))
        return along_best_paths(edges, named, closed)

    monkeypatch.setattr(labelling, "along_best_paths", counted)
    clustering = Clustering(Parameters(eps=1.0))
    rng = np.random.default_rng(0)
    for start in range(0, 50_000, 1000):
        batch = []
        for number in range(start, start + 1000):
            near = range(max(number - 5, number // 20 * 20), number)
            edges = [(f"{it:05}", it, float(rng.uniform(0.2, 1))) for it in near]
            batch.append(record(f"scan {number}", number, {f"{number:05}": edges}, shards=1))
        clustering.apply(batch)
    clustering.apply([named(it, f"{it * 1000:05}", f"person {it}") for it in range(1, 40)])
    looked_at.clear()
    for decision in (named(50, "30007", "grace"), named(51, "30007", "eileen"), undone(52, "051"), undone(53, "050")):
        delta = clustering.apply([decision])
        assert {int(it.face_id) // 20 for it in delta.assignments} == {1500}
        assert len(delta.assignments) == 19
        assert delta.changes == ()
    assert looked_at == [20, 20, 20, 20]

"""Evidence from shared neighbours: what it keeps apart, what it joins, and how it bounds neighbourhoods."""

from __future__ import annotations

import numpy as np
import pytest

from clustering.clustering import Clustering, NeighboursWithdrawn, Parameters
from clustering.shared_neighbours import nearest_of_each
from schemas.neighbours import NeighboursFound
from tests.builders.neighbours import record

_PARAMETERS = Parameters(eps=2.0, shared_weight=1.0, reach=3.0)


def _people(*sizes: int, distance: float) -> list[NeighboursFound]:
    """A scan for each face `0a`, `0b`, …, `1a`, …: all faces of one person are this far apart."""
    records: list[NeighboursFound] = []
    for person, size in enumerate(sizes):
        first = len(records)
        for face in range(size):
            edges = [(f"{person}{'abcdefgh'[other]}", first + other, distance) for other in range(face)]
            number = first + face
            records.append(record(str(number), number, {f"{person}{'abcdefgh'[face]}": edges}))
    return records


def test_one_accidental_pair_does_not_chain_two_people_together() -> None:
    accident = record("9", 9, {"1z": [("0a", 0, 1.9), *((f"1{face}", 3 + i, 1.0) for i, face in enumerate("abc"))]})
    plain, shared = Clustering(Parameters(eps=2.0)), Clustering(_PARAMETERS)
    for clustering in (plain, shared):
        clustering.apply([*_people(3, 3, distance=1.0), accident])
    assert plain.sizes() == {"0a": 7}
    assert shared.sizes() == {"0a": 3, "1a": 4}


def test_two_faces_that_know_only_each_other_need_no_more_evidence() -> None:
    clustering = Clustering(_PARAMETERS)
    clustering.apply(_people(2, distance=2.0))
    assert clustering.sizes() == {"0a": 2}


def test_a_new_face_can_join_and_divide_faces_that_it_is_not_a_neighbour_of() -> None:
    """`0a` and `1a` are as near as eps. What else they know decides."""
    clustering = Clustering(_PARAMETERS)
    pair = [record("0", 0, {"0a": []}), record("1", 1, {"1a": [("0a", 0, 2.0)]})]
    strangers = [record(f"{n}", n, {f"{n}s": [(f"{n % 2}a", n % 2, 2.9)]}) for n in (2, 3)]
    common = record("4", 4, {"c": [("0a", 0, 2.9), ("1a", 1, 2.9)]})
    clustering.apply(pair)
    assert clustering.sizes() == {"0a": 2}
    clustering.apply(strangers)
    assert clustering.sizes()["0a"] == 1
    clustering.apply([common])
    assert clustering.sizes()["0a"] == 1
    clustering.apply([NeighboursWithdrawn("2", 0), NeighboursWithdrawn("3", 0)])
    assert clustering.sizes()["0a"] == 2


def test_a_face_has_no_more_neighbours_than_the_most_and_is_none_of_more() -> None:
    clustering = Clustering(Parameters(eps=2.0, shared_weight=1.0, reach=3.0, most_neighbours=3))
    clustering.apply(_people(8, distance=1.0))
    graph = clustering.graph
    owners, _, _ = graph.neighbours(clustering.live_nodes())
    assert len(owners)
    assert np.bincount(owners).max() <= 3


@pytest.mark.parametrize("seed", range(4))
def test_in_a_crowd_whatever_comes_and_goes_the_clusters_are_those_of_all_records_at_once(seed: int) -> None:
    """Faces of a few people, each of whom has several times as many near faces as are kept."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(90, 2)) + rng.integers(0, 3, size=(90, 1)) * 2.5
    parameters = Parameters(eps=1.2, shared_weight=0.9, reach=1.5, most_neighbours=4)
    clustering, held = Clustering(parameters), dict[int, NeighboursFound]()
    for number, place in enumerate(places):
        distances = {one: float(np.hypot(*(places[one] - place))) for one in held}
        near = [(f"f{one:02}", one, distance) for one, distance in distances.items() if distance <= 1.5]
        held[number] = record(str(number), number, {f"f{number:02}": near}, eps_max=1.5)
        batch: list[NeighboursFound | NeighboursWithdrawn] = [held[number]]
        if number % 3 == 2:
            gone = int(rng.choice([*held]))
            del held[gone]
            batch.append(NeighboursWithdrawn(str(gone), 0))
        clustering.apply(batch)
        if number % 20 == 19:
            state = {name: np.array(column) for name, column in clustering.state().items()}
            clustering = Clustering.of_state(parameters, state)
        at_once = Clustering(parameters)
        at_once.apply([*held.values()])
        assert sorted(map(str, clustering.assignments())) == sorted(map(str, at_once.assignments()))
    assert max(clustering.sizes().values()) > 8


def test_of_equally_near_neighbours_those_with_the_least_ids_are_kept() -> None:
    names = np.array(["d", "a", "c", "b", "a"], dtype=np.object_)
    owners, distances = np.array([7, 7, 7, 7, 8]), np.array([1.0, 2.0, 2.0, 2.0, 9.0])
    assert nearest_of_each(owners, distances, np.arange(5), names, 3).tolist() == [True, True, False, True, True]


def test_parameters_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="shared_weight and reach are given together"):
        Parameters(shared_weight=0.1)
    with pytest.raises(ValueError, match=r"reach 0.3 is smaller than eps 0.4"):
        Parameters(eps=0.4, shared_weight=0.1, reach=0.3)
    with pytest.raises(ValueError, match="most_neighbours belongs to shared_weight"):
        Parameters(most_neighbours=4)


def test_edges_of_another_reference_do_not_count_but_the_faces_do() -> None:
    clustering = Clustering(Parameters(eps=2.0, reference="one"))
    others = [it.model_copy(update={"reference": "another"}) for it in _people(2, distance=1.0)]
    ours = [it.model_copy(update={"reference": "one"}) for it in others]
    clustering.apply(others)
    assert clustering.sizes() == {"0a": 1, "0b": 1}
    clustering.apply(ours)
    assert clustering.sizes() == {"0a": 2}

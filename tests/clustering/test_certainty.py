"""The best path to a named face says how sure its name is: less the further away, whatever the order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from clustering.certainty import CALIBRATED, EUCLIDEAN, SUREST, Curve, along_best_paths, edge_probabilities

Dense = npt.NDArray[np.float64]
NO_LINKS = np.empty((0, 2), dtype=np.int64)


def edges_of(distances: Dense, must_links: npt.NDArray[np.int64] = NO_LINKS) -> csr_array:
    """`distances`: shape (n, n), infinite where two faces are no neighbours."""
    rows, columns = np.nonzero(np.isfinite(distances))
    return edge_probabilities(
        csr_array((distances[rows, columns], (rows, columns)), distances.shape), must_links, CURVE
    )


CURVE = Curve(middle=0.4, width=0.1)


def random_distances(rng: np.random.Generator, faces: int) -> Dense:
    points = rng.uniform(0, 1, (faces, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.where(distances <= 0.4, distances, np.inf)


def certainty(distances: Dense, named: list[int], closed: list[int] | None = None) -> Dense:
    mask = np.zeros(len(distances), dtype=np.bool_)
    mask[closed or []] = True
    return along_best_paths(edges_of(distances), np.array(named, dtype=np.int64), mask)


def chain(*lengths: float) -> Dense:
    distances = np.full((len(lengths) + 1, len(lengths) + 1), np.inf)
    for number, length in enumerate(lengths):
        distances[number, number + 1] = distances[number + 1, number] = length
    return distances


@pytest.mark.parametrize("curve", [CALIBRATED, EUCLIDEAN])
def test_the_nearer_two_faces_are_the_surer_it_is_that_they_are_one_person_but_never_certain(curve: Curve) -> None:
    found = curve(np.linspace(0, 1, 200))
    assert (np.diff(found) <= 0).all()
    assert 0 < found.min() < 0.001
    assert found.max() <= SUREST < 1
    assert curve(np.array([curve.middle]))[0] == pytest.approx(SUREST / 2)
    assert curve(np.array([1e9]))[0] >= 0


def test_a_path_is_as_sure_as_all_of_its_edges_together() -> None:
    one, two = CURVE(np.array([0.1])), CURVE(np.array([0.3]))
    assert certainty(chain(0.1, 0.3, 0.1), [0]) == pytest.approx(np.concatenate([[1], one, one * two, one * two * one]))


def test_of_several_paths_the_best_one_counts() -> None:
    distances = chain(0.1, 0.1)
    distances[0, 2] = distances[2, 0] = 0.5
    detour, direct = CURVE(np.array([0.1]))[0] ** 2, CURVE(np.array([0.5]))[0]
    assert certainty(distances, [0])[2] == pytest.approx(max(detour, direct))
    assert detour > direct


def test_no_path_leads_through_a_face_that_is_none_of_the_named_people() -> None:
    found = certainty(chain(0.1, 0.1, 0.1), [0], closed=[1])
    assert found[1] > 0
    assert found[2:].tolist() == [0, 0]


def test_a_face_that_no_path_leads_to_and_one_without_names_around_have_no_certainty() -> None:
    assert certainty(chain(0.1, np.inf, 0.1), [0])[2:].tolist() == [0, 0]
    assert certainty(chain(0.1), []).tolist() == [0, 0]


def test_a_link_is_certain_whether_or_not_the_faces_are_neighbours() -> None:
    links = np.array([[0, 1], [2, 3]])
    edges = edges_of(chain(0.5, 0.1, np.inf), links)
    found = along_best_paths(edges, np.array([0]), np.zeros(4, dtype=np.bool_))
    near = CURVE(np.array([0.1]))[0]
    assert found == pytest.approx([1, 1, near, near])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 5))
def test_the_order_of_the_faces_changes_no_digit(seed: int, faces: int, named: int) -> None:
    rng = np.random.default_rng(seed)
    distances = random_distances(rng, faces)
    some = rng.permutation(faces)[:named]
    order = rng.permutation(faces)
    position = np.argsort(order)
    ours = certainty(distances, some.tolist())
    theirs = certainty(distances[np.ix_(order, order)], position[some].tolist())
    assert theirs[position].tolist() == ours.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(1, 4), st.floats(0, 0.2))
def test_where_faces_move_apart_nothing_gets_surer_and_another_name_makes_nothing_less_sure(
    seed: int, faces: int, named: int, further: float
) -> None:
    rng = np.random.default_rng(seed)
    distances = random_distances(rng, faces)
    some = rng.permutation(faces)[: named + 1].tolist()
    before = certainty(distances, some[:-1])
    assert (certainty(distances + further, some[:-1]) <= before).all()
    assert (certainty(distances, some) >= before).all()
    assert ((before >= 0) & (before <= 1)).all()

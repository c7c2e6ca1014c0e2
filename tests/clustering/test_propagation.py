"""Names spread along similarity as scikit-learn's LabelPropagation spreads them, and rejections end them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array
from sklearn.semi_supervised import LabelPropagation

from clustering import propagation
from clustering.columns.arrays import Slots
from clustering.propagation import propagate

Dense = npt.NDArray[np.float64]


def affinity(points: Dense, eps: float) -> Dense:
    """With each face like itself, as scikit-learn wants it; it makes no difference to where walks end."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    return np.where(distances <= eps, np.exp(-2 * (distances / eps) ** 2), 0)


def spread(weights: Dense, hard: Slots, names: int) -> Dense:
    return whole(weights, hard, np.zeros((len(hard), names), dtype=np.bool_))


def whole(weights: Dense, hard: Slots, rejected: npt.NDArray[np.bool_]) -> Dense:
    return np.hstack([np.empty((len(hard), 0)), *propagate(csr_array(weights), hard, csc_array(rejected))])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(5, 60))
def test_the_probabilities_are_those_of_scikit_learn_on_the_same_affinity(seed: int, names: int, faces: int) -> None:
    rng = np.random.default_rng(seed)
    weights = affinity(rng.uniform(0, 1, (faces, 2)), eps=0.4)
    hard = np.full(faces, -1)
    hard[rng.permutation(faces)[:names]] = np.arange(names)
    ours = spread(weights, hard, names)
    theirs = LabelPropagation(kernel=lambda _, __: weights.copy(), max_iter=100_000, tol=1e-12)
    theirs.fit(np.zeros((faces, 1)), hard)
    np.testing.assert_allclose(ours, theirs.label_distributions_, atol=1e-5)


def chain(length: int) -> Dense:
    weights = np.zeros((length, length))
    steps = np.arange(length - 1)
    weights[steps, steps + 1] = weights[steps + 1, steps] = 1.0
    return weights


def test_two_names_at_two_ends_divide_what_lies_between() -> None:
    hard = np.array([0, -1, -1, -1, 1])
    np.testing.assert_allclose(spread(chain(5), hard, 2)[:, 0], [1, 0.75, 0.5, 0.25, 0])


def test_a_long_chain_is_solved_by_elimination() -> None:
    hard = np.full(2001, -1)
    hard[0], hard[-1] = 0, 1
    np.testing.assert_allclose(spread(chain(2001), hard, 2)[:, 0], np.linspace(1, 0, 2001), atol=1e-6)


def test_a_face_that_no_name_reaches_has_no_probabilities() -> None:
    weights = np.zeros((4, 4))
    weights[:2, :2] = chain(2)
    weights[2:, 2:] = chain(2)
    assert spread(weights, np.array([0, -1, -1, -1]), 1).ravel().tolist() == [1, 1, 0, 0]


def test_a_rejected_name_has_no_probability_there_and_less_around() -> None:
    rejected = np.zeros((4, 2), dtype=np.bool_)
    rejected[2, 0] = True
    found = whole(chain(4), np.array([0, -1, -1, 1]), rejected)
    np.testing.assert_allclose(found[:, 0], [1, 0.5, 0, 0])
    np.testing.assert_allclose(found[:, 1], [0, 1 / 3, 2 / 3, 1])


def test_where_the_only_name_is_rejected_nothing_is_suggested() -> None:
    rejected = np.array([[False], [True], [False]])
    found = whole(chain(3), np.array([0, -1, -1]), rejected)
    assert found.ravel().tolist() == [1, 0, 0]


@pytest.mark.parametrize("names", [0, 1])
def test_without_faces_or_names_there_is_nothing(names: int) -> None:
    assert spread(np.empty((0, 0)), np.empty(0, dtype=np.int64), names).shape == (0, names)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_names_that_are_solved_a_few_at_a_time_have_the_probabilities_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    rng = np.random.default_rng(0)
    weights = affinity(rng.uniform(0, 1, (40, 2)), eps=0.4)
    hard, rejected = np.full(40, -1), rng.random((40, 5)) < 0.1
    hard[:5] = np.arange(5)
    at_once = whole(weights, hard, rejected)
    monkeypatch.setattr(propagation, "_AT_ONCE", 40 * columns)
    parts = list(propagate(csr_array(weights), hard, csc_array(rejected)))
    assert max(part.shape[1] for part in parts) == columns
    np.testing.assert_allclose(np.hstack(parts), at_once, atol=1e-9)

"""Small operations on arrays, against the plain way to compute them."""

from __future__ import annotations

import numpy as np
import pytest

from clustering.columns.arrays import are_among
from clustering.columns.rows import _PAIRS_AT_ONCE, inner_products, sparse_rows


@pytest.mark.parametrize("ordered", [[], [3], [1, 1, 4, 9], list(range(50))])
def test_which_values_are_in_an_ascending_array(ordered: list[int]) -> None:
    values = np.array([9, 0, 4, 1, 100, 4, -1])
    assert are_among(values, np.array(ordered, dtype=np.int64)).tolist() == [it in ordered for it in values.tolist()]
    assert are_among(np.array([], dtype=np.int64), np.array(ordered, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("pairs", [0, 1, _PAIRS_AT_ONCE, 3 * _PAIRS_AT_ONCE + 5])
def test_inner_products_of_pairs_of_rows_are_exact_however_many(pairs: int) -> None:
    generator = np.random.default_rng(pairs)
    dense = generator.integers(0, 2**20, (40, 90)) * (generator.random((40, 90)) < 0.3)
    dense[:, 0] = 1  # no row is empty
    owners, columns = np.nonzero(dense)
    rows = sparse_rows(np.arange(40), owners, columns, dense[owners, columns])
    one, other = generator.integers(0, 40, (2, pairs))
    assert inner_products(rows, one, other).tolist() == (dense[one] * dense[other]).sum(axis=1).tolist()

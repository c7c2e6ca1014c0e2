"""Exact search: reproducible distances, and a range search that compares all vectors. Works on arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.distances import pair_distances

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_PAIRS_AT_ONCE = 2**16
_ROWS_AT_ONCE = 4096
_ROUNDING = 2.0**-24


def distances(queries: Vectors, rows: Numbers, vectors: Vectors, slots: Numbers) -> Distances:
    """Euclidean distances of the pairs (queries[rows[i]], vectors[slots[i]]): float64, shape (pairs,).

    The one formula for every distance that is published; see `calibration.distances.pair_distances`.
    """
    squared = [
        pair_distances(queries[rows[start : start + _PAIRS_AT_ONCE]], vectors[slots[start : start + _PAIRS_AT_ONCE]])
        for start in range(0, len(rows), _PAIRS_AT_ONCE)
    ]
    return np.concatenate([np.empty(0, dtype=np.float64), *squared])


def candidates(queries: Vectors, vectors: Vectors, limits: Distances) -> tuple[Numbers, Numbers]:
    """All pairs (row of `queries`, row of `vectors`) at a distance up to the row's limit, and a few just beyond it.

    They are found by a float32 matrix product with each block of rows: |q - x|^2 = |q|^2 + |x|^2 - 2 q.x. Its rounding
    error is below g (|q| + |x|)^2 with g = n u / (1 - n u), u = 2^-24 and n a little over the length of a vector
    (Higham 2002, section 3.1). The limits are widened by that much, so that no pair is missed. Callers decide with
    `distances`.
    """
    rows: list[Numbers] = []
    columns: list[Numbers] = []
    # The n of the docstring is the length and 16 more, for the sums and squares beside the product.
    query_squares = np.einsum("ij,ij->i", queries, queries)
    largest = float(np.sqrt(query_squares.max(initial=0.0)))
    limit = float(limits.max(initial=0.0))
    bound = (queries.shape[1] + 16) * _ROUNDING
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = vectors[start : start + _ROWS_AT_ONCE]
        squares = np.einsum("ij,ij->i", block, block)
        margin = 2 * bound * (largest + float(np.sqrt(squares.max()))) ** 2 + 1e-6 * limit**2
        # |q - x|^2 <= limits^2 + margin, solved for q.x - |x|^2 / 2: one array of products is all that is needed.
        product = queries @ block.T
        product -= 0.5 * squares
        row, column = np.nonzero(product >= (0.5 * (query_squares - limits**2 - margin))[:, None])
        rows.append(row)
        columns.append(column + start)
    if not rows:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(rows), np.concatenate(columns)

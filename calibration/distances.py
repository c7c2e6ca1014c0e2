"""Euclidean distances: blocks of them by matrix product, and those of single pairs to the last bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]

_PAIRS_AT_ONCE = 512  # their float64 differences stay in the second-level cache


def block_distances(one: Vectors, other: Vectors) -> npt.NDArray[np.float32]:
    """All distances between two sets, shape (n, m), by a float32 matrix product: about five digits are right."""
    mean = one.mean(axis=0, dtype=np.float64).astype(np.float32)
    one, other = one - mean, other - mean
    squares = (one * one).sum(axis=1)[:, None] + (other * other).sum(axis=1)[None]
    squares -= 2 * (one @ other.T)
    distances: npt.NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
    return distances


def pair_distances(one: Vectors, other: Vectors) -> Distances:
    """The distances of the pairs (one[i], other[i]), both of shape (n, d): float64, shape (n,).

    Differences of float32 values are squared and summed in float64, always in the same order. So a pair has the same
    distance to the last bit, whichever end comes first and whatever else is in the batch.
    """
    squared = np.empty(len(one), dtype=np.float64)
    for start in range(0, len(one), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        difference = one[block].astype(np.float64)
        difference -= other[block]
        np.einsum("ij,ij->i", difference, difference, out=squared[block])
    return np.sqrt(squared)

"""Fewer numbers for a face: its place along the principal axes of many faces, and how far it is off them.

dlib's 128 numbers lie along some 80 axes, and 63 of these hold 97 % of the variance (`python -m benchmarks.axes`). A
search visits faces all over memory, so with half the numbers a graph is built and searched in far less time.

With a face's place p along orthonormal axes (Jolliffe 2002, chapter 2) and the length r of what is left of it,
|p - q|^2 + (r - s)^2 is never more than the squared Euclidean distance of two faces: what is left of both is at least
|r - s| apart. So a search in reduced faces finds everything within a distance, and some faces beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.exact import Numbers, Vectors

AXES_FILE = "axes.npy"
"""The name of the file of a graph's axes, in the folder of the graph."""

_Matrix = npt.NDArray[np.float64]

# The share of the variance that the axes hold at least. Of half of the numbers or more there is an axis: the faces that
# axes are drawn from may be more alike than those that come later.
_SHARE, _LEAST = 0.95, 1 / 2
# hnswlib computes with so many numbers at a time.
_MULTIPLE = 16
_SAMPLE = 10_000


@dataclass(frozen=True, eq=False)
class Axes:
    """Principal axes. mean: float64, shape (d,). directions: float64, shape (k, d), orthonormal, k < d."""

    mean: npt.NDArray[np.float64]
    directions: _Matrix

    @classmethod
    def of(cls, vectors: Vectors, rows: Numbers) -> Axes:
        """The axes of the faces in these rows of float32, shape (any, d). Of many a sample is looked at."""
        dimension = vectors.shape[1]
        sample = vectors[rows[:: max(1, len(rows) // _SAMPLE)]].astype(np.float64)
        mean = sample.sum(axis=0) / max(1, len(sample))
        centred = sample - mean
        # Ascending: the last axes hold the most.
        variances, axes = np.linalg.eigh(centred.T @ centred)
        held = np.cumsum(np.maximum(variances[::-1], 0))
        needed = max(1 + int(np.searchsorted(held, _SHARE * held[-1])), int(_LEAST * dimension) - 1)
        kept = min(-(-(needed + 1) // _MULTIPLE) * _MULTIPLE, dimension) - 1
        return cls(mean, np.ascontiguousarray(axes[:, ::-1][:, :kept].T))

    @property
    def dimension(self) -> int:
        """How many numbers a reduced face has."""
        return len(self.directions) + 1

    def reduced(self, vectors: Vectors) -> Vectors:
        """Faces along the axes, and how far they are off: float32, shape (n, d) to float32, shape (n, dimension)."""
        centred = vectors.astype(np.float64) - self.mean
        along = centred @ self.directions.T
        squares = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", along, along)
        off = np.sqrt(np.maximum(squares, 0))
        return np.column_stack([along, off]).astype(np.float32)

    def array(self) -> _Matrix:
        """Mean and directions in one array, shape (dimension, d), for `of_array`."""
        return np.vstack([self.mean, self.directions])

    @classmethod
    def of_array(cls, array: _Matrix) -> Axes:
        """The axes that `array` was made of."""
        return cls(array[0], array[1:])

"""Where the faces of a graph lie: fewer numbers for each, and those that reach less far farther away.

A search visits faces all over memory, so with half the numbers a graph is built and searched in less time; and it looks
at faces in the order of their distance, so it should meet those first that are neighbours. Two things make the point of
a face, both without losing a neighbour (`python -m benchmarks.layout` has figures):

Reduced. dlib's 128 numbers lie along some 80 axes, and 62 of these hold 97 % of the variance. With a face's place p
along principal axes (Jolliffe 2002, chapter 2) and the length r of what is left of it, |p - q|^2 + (r - s)^2 is never
more than the squared Euclidean distance of two faces: what is left of both is at least |r - s| apart.

Set back. By calibrated distance a query with the limit L has as neighbours the faces y within L - w(y): w(y) is by how
much y reaches less far than the face that reaches farthest. So each face has one coordinate more, which is 0 for a
query: h = sqrt(2 K w - w^2) for a constant K, as inner products are turned into distances (Bachrach et al. 2014). For
d <= L - w the distance of the points is d^2 + h^2 <= L^2 - 2 (L - K) w, and with K <= L that is within L, as before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.exact import Distances, Vectors

_Matrix = npt.NDArray[np.float64]

# The share of the variance that the axes hold at least. Of half of the numbers or more there is an axis: the faces that
# axes are drawn from may be more alike than those that come later.
_SHARE, _LEAST = 0.95, 1 / 2
# hnswlib computes with so many numbers at a time.
_MULTIPLE = 16
# Beside the places along the axes: how far a face is off them, and how far it is set back.
_BESIDE = 2
# Of the limits of faces K is the smallest but for this share.
_BELOW = 0.01


@dataclass(frozen=True, eq=False)
class Layout:
    """How faces become the points of a graph.

    middle: float64, shape (d,). directions: float64, shape (k, d), orthonormal, k < d. nearest_limit: the K above.
    """

    middle: npt.NDArray[np.float64]
    directions: _Matrix
    nearest_limit: float

    @classmethod
    def of(cls, vectors: Vectors, limits: Distances) -> Layout:
        """The layout for faces like these: float32, shape (n, d), and how far away their neighbours can be."""
        faces, dimension = vectors.astype(np.float64), vectors.shape[1]
        # The median, because a few broken embeddings would move a mean far from all others.
        middle = np.median(faces, axis=0) if len(faces) else np.zeros(dimension)
        centred = faces - middle
        # Ascending: the last axes hold the most.
        variances, axes = np.linalg.eigh(centred.T @ centred)
        held = np.cumsum(np.maximum(variances[::-1], 0))
        needed = max(1 + int(np.searchsorted(held, _SHARE * held[-1])), int(_LEAST * dimension) - _BESIDE)
        kept = min(-(-(needed + _BESIDE) // _MULTIPLE) * _MULTIPLE - _BESIDE, dimension - 1)
        nearest_limit = float(np.quantile(limits, _BELOW)) if len(limits) else 0.0
        return cls(middle, np.ascontiguousarray(axes[:, ::-1][:, :kept].T), nearest_limit)

    @property
    def dimension(self) -> int:
        """How many numbers a point has."""
        return len(self.directions) + _BESIDE

    def points(self, vectors: Vectors, shortfalls: Distances | None = None) -> Vectors:
        """The points of faces: float32, shape (n, d) to float32, shape (n, dimension).

        shortfalls: by how much less far each reaches than the limit of a query, in Euclidean distance, at least 0;
        None: these are queries, or their last number does not matter.
        """
        centred = vectors.astype(np.float64) - self.middle
        along = centred @ self.directions.T
        squares = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", along, along)
        off = np.sqrt(np.maximum(squares, 0))
        less = np.zeros(len(vectors)) if shortfalls is None else np.minimum(shortfalls, self.nearest_limit)
        back = np.sqrt(less * (2 * self.nearest_limit - less))
        return np.column_stack([along, off, back]).astype(np.float32)

    def within(self, limits: Distances) -> Distances:
        """How far from a query the points of all faces within its limit are at most."""
        # A query with a smaller limit than K: 2 (K - L) w more, and w is at most K.
        more = 2 * np.maximum(self.nearest_limit - limits, 0) * self.nearest_limit
        return np.asarray(np.sqrt(limits**2 + more))

    def array(self) -> _Matrix:
        """All of it in one array, for `of_array`: shape (k + 2, d)."""
        return np.vstack([self.middle, np.full(len(self.middle), self.nearest_limit), self.directions])

    @classmethod
    def of_array(cls, array: _Matrix) -> Layout:
        """The layout that `array` was made of."""
        return cls(array[0], array[2:], float(array[1, 0]))

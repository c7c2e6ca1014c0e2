"""HNSW by hnswlib (Malkov and Yashunin 2018), searched by range. Labels are slots. One caller at a time.

What hnswlib 0.8 requires of its callers, and where this is observed: space "l2" is the *squared* distance
(`candidates`); `knn_query` raises when it finds fewer than k (`candidates` then leaves the rows to an exact search);
capacity is fixed until `resize_index` (`add`); `ef` is not saved (it is set before each search); adding and searching
at once is not safe (the owner of a graph does one at a time); reusing deleted nodes leaves others unreachable (never
done: see rebuild.py).

Its nodes are the points of faces (layout.py): a query is as near to those of its neighbours as its limit says.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import hnswlib
import numpy as np

from index.exact import Distances, Numbers, Vectors
from index.layout import Layout
from index.parameters import Parameters

# A search for k of n faces visits many times k nodes all over memory. From this share of n on an exact search, a matrix
# product over all of them, is no slower.
_LARGEST_K_SHARE = 1 / 16
# The larger the graph, the more often a search ends before it has reached the neighbours (measured:
# docs/performance.md). So `ef` is at least this share of the square root of the number of nodes.
_EF_PER_ROOT = 1 / 6
# Where there are more bit-identical vectors than candidates in an insertion, their nodes are connected to each other
# only, and a search that reaches one of them cannot leave them. So each vector is moved by at most so much in each
# coordinate before it is inserted.
_PERTURBATION = 1e-5
# hnswlib sums float32 squares: twice the relative error that this makes in a squared distance.
_SLACK = 1e-4


class Hnsw:
    """One HNSW graph. Nodes that are marked deleted are walked through by searches, but never found."""

    def __init__(self, parameters: Parameters, layout: Layout, capacity: int) -> None:
        """An empty graph of faces in this layout, with an initial capacity of `capacity` nodes."""
        self._parameters = parameters
        self.layout = layout
        self._hnsw = hnswlib.Index("l2", layout.dimension)
        self._hnsw.init_index(
            max_elements=capacity,
            M=parameters.m,
            ef_construction=parameters.ef_construction,
            random_seed=parameters.seed,
        )
        self.marked = 0

    @classmethod
    def load(cls, path: Path, parameters: Parameters, layout: Layout, live: int) -> Hnsw:
        """A saved graph in this layout, in which `live` nodes can be found. RuntimeError when it is not hnswlib's."""
        graph = cls.__new__(cls)
        graph._parameters = parameters
        graph.layout = layout
        graph._hnsw = hnswlib.Index("l2", layout.dimension)
        graph._hnsw.load_index(str(path))
        graph.marked = graph.nodes - live
        return graph

    def save(self, path: Path) -> None:
        """Write to `path`, not atomically. Raises OSError where it cannot be written."""
        try:
            self._hnsw.save_index(str(path))
        except RuntimeError as error:
            raise OSError(errno.EIO, f"{path}: {error}") from error
        # hnswlib does not look whether the disk has taken what it wrote.
        if path.stat().st_size != self._hnsw.index_file_size():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    @property
    def nodes(self) -> int:
        """All nodes, the marked ones included."""
        return int(self._hnsw.element_count)

    def slots(self) -> Numbers:
        """The slots of all nodes, the marked ones included."""
        return np.array(self._hnsw.get_ids_list(), dtype=np.int64)

    @property
    def live(self) -> int:
        """The nodes that can be found."""
        return self.nodes - self.marked

    def add(self, vectors: Vectors, offsets: Distances, slots: Numbers, threads: int | None = None) -> None:
        """Insert faces: float32, shape (n, dimension), their offsets and their slots. Grows by doubling."""
        capacity = int(self._hnsw.max_elements)
        needed = self.nodes + len(slots)
        if needed > capacity:
            self._hnsw.resize_index(max(needed, 2 * capacity))
        generator = np.random.default_rng((self._parameters.seed, self.nodes))
        moved = self.layout.points(vectors, self._parameters.shortfalls(offsets))
        moved += generator.uniform(-_PERTURBATION, _PERTURBATION, moved.shape).astype(np.float32)
        self._hnsw.add_items(moved, slots, num_threads=self._parameters.threads if threads is None else threads)

    def mark(self, slots: Numbers) -> None:
        """Remove faces: their nodes are marked deleted."""
        for slot in slots.tolist():
            self._hnsw.mark_deleted(slot)
        self.marked += len(slots)

    def candidates(self, queries: Vectors, limits: Distances) -> tuple[Numbers, Numbers, Numbers]:
        """The pairs (row of `queries`, slot) found within a row's limit, and some beyond; and the rows left to search.

        HNSW finds the k nearest, not all within a distance. So k is doubled for the rows whose k-th neighbour is still
        within the limit. It begins at the parameter `ef`, or at a sixth of the square root of the number of nodes
        where that is more. hnswlib's own `ef` is set to k, so that all candidates that a search keeps are returned. A
        row is left for the caller to search exactly when k has become a large share of the graph, or when the graph
        does not find k.
        """
        # A node may be moved away from the query by the perturbation of each coordinate, and its distance be rounded.
        moved = _PERTURBATION * self.layout.dimension**0.5
        squared_limits = (self.layout.within(limits) + moved) ** 2 * (1 + _SLACK)
        points = self.layout.points(queries)
        rows_found: list[Numbers] = []
        slots_found: list[Numbers] = []
        rows = np.arange(len(queries))
        k = max(self._parameters.ef, int(_EF_PER_ROOT * self.nodes**0.5))
        while len(rows) and k <= self.live * _LARGEST_K_SHARE:
            self._hnsw.set_ef(k)
            try:
                labels, squared = self._hnsw.knn_query(points[rows], k=k, num_threads=self._parameters.threads)
            except RuntimeError:  # fewer than k nodes could be reached
                break
            # Sorted by distance: a row is complete when its k-th neighbour is beyond the limit.
            limits_now = squared_limits[rows]
            done = squared[:, -1] > limits_now
            row, column = np.nonzero((squared <= limits_now[:, None]) & done[:, None])
            rows_found.append(rows[row])
            slots_found.append(labels[row, column].astype(np.int64))
            rows = rows[~done]
            k *= 2
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *rows_found]), np.concatenate([empty, *slots_found]), rows

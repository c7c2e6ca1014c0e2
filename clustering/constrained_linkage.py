"""Single linkage under must-links and cannot-links, for faces that DBSCAN alone would join or keep apart.

Pure: faces are positions in arrays. The result depends on the faces and constraints, not on their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering.columns.arrays import Mask, Names, Slots

# Before each chunk of pairs, those that are in one component by now are skipped at once.
_CHUNK = 10_000


@dataclass(frozen=True)
class ConstrainedFaces:
    """Faces by position, from 0 to n - 1: those of some clusters, and noise.

    face_ids, core: shape (n,). one, other, distances: shape (m,), neighbours within eps and how far apart they are,
    each pair once. must_links: shape (l, 2), in the order of the decisions. cannot_links: shape (s, 2).
    """

    face_ids: Names
    core: Mask
    one: Slots
    other: Slots
    distances: npt.NDArray[np.float64]
    must_links: Slots
    cannot_links: Slots


def constrained_linkage(faces: ConstrainedFaces) -> Slots:
    """The constrained cluster of each face: int64, shape (n,), numbered in no particular order.

    Kruskal's algorithm for single linkage with cannot-links (Klein, Kamvar, Manning 2002; Wagstaff et al. 2001):
    components grow edge by edge, shortest first, except that no edge may bring the two faces of a cannot-link into
    one component. So faces are divided where they are least similar. Must-links come first, in the order of the
    decisions; then edges between cores, by distance and face ids; then each border joins the nearest core that it can.
    Without cannot-links, faces that must-links and neighbours connect are in one component.
    """
    components = _Components(len(faces.face_ids), faces.cannot_links)
    for one, other in faces.must_links.tolist():
        components.join(one, other)
    rank = np.empty(len(faces.face_ids), dtype=np.int64)
    rank[np.argsort(faces.face_ids)] = np.arange(len(rank))
    one_is_core, other_is_core = faces.core[faces.one], faces.core[faces.other]

    between_cores = np.flatnonzero(one_is_core & other_is_core)
    for one, other in _shortest_first(faces, rank, between_cores, components):
        components.join(one, other)

    to_borders = np.flatnonzero(one_is_core != other_is_core)
    joined: set[int] = set()
    for one, other in _shortest_first(faces, rank, to_borders, components):
        border = other if faces.core[one] else one
        if border not in joined and components.join(one, other):
            joined.add(border)
    return components.roots()


def must_link_groups(count: int, must_links: Slots) -> Slots:
    """The connected component of each of `count` items under must-links of shape (l, 2): int64, shape (count,)."""
    ones = np.ones(len(must_links), dtype=np.int8)
    pairs = coo_array((ones, (must_links[:, 0], must_links[:, 1])), (count, count))
    return connected_components(pairs, directed=False)[1].astype(np.int64)


def _shortest_first(
    faces: ConstrainedFaces, rank: Slots, pairs: Slots, components: _Components
) -> Iterator[tuple[int, int]]:
    """The ends of pairs that are not in one component yet, by distance, then face ids."""
    one, other = faces.one[pairs], faces.other[pairs]
    ranks = rank[one], rank[other]
    order = np.lexsort((np.maximum(*ranks), np.minimum(*ranks), faces.distances[pairs]))
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        roots = components.roots()
        apart = chunk[roots[one[chunk]] != roots[other[chunk]]]
        yield from zip(one[apart].tolist(), other[apart].tolist(), strict=True)


class _Components:
    """Components that grow (union-find, by size, with path halving) unless a cannot-link forbids it."""

    def __init__(self, count: int, cannot_links: Slots) -> None:
        self._parent = list(range(count))
        self._size = [1] * count
        # By root: the faces of the component that have a cannot-link, and the faces at the other ends of these.
        self._constrained: dict[int, set[int]] = {}
        self._forbidden: dict[int, set[int]] = {}
        for one, other in cannot_links.tolist():
            for face, forbidden in ((one, other), (other, one)):
                self._constrained.setdefault(face, {face})
                self._forbidden.setdefault(face, set()).add(forbidden)

    def join(self, one: int, other: int) -> bool:
        """Make the components of two faces one. False where a cannot-link forbids that."""
        one, other = self._root(one), self._root(other)
        if one == other:
            return True
        if self._size[one] < self._size[other]:
            one, other = other, one
        if other in self._constrained:
            if not self._forbidden.get(one, set()).isdisjoint(self._constrained[other]):
                return False
            self._constrained.setdefault(one, set()).update(self._constrained.pop(other))
            self._forbidden.setdefault(one, set()).update(self._forbidden.pop(other))
        self._parent[other] = one
        self._size[one] += self._size[other]
        return True

    def roots(self) -> Slots:
        """The root of every face, which stands for its component."""
        roots = np.array(self._parent, dtype=np.int64)
        while not np.array_equal(roots, further := roots[roots]):
            roots = further
        return roots

    def _root(self, face: int) -> int:
        parent = self._parent
        while parent[face] != face:
            parent[face] = parent[parent[face]]
            face = parent[face]
        return face

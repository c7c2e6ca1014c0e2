"""What archivists' links and separations make of a group of faces that DBSCAN alone would keep together, or apart.

Pure: faces are positions in arrays, and the parts are a function of the group, not of the order that it came in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clustering.columns.arrays import Mask, Names, Slots

# Between two portions, pairs that have come together meanwhile are passed over at once.
_PORTION = 10_000


@dataclass(frozen=True)
class Group:
    """Faces by position, from 0 to n - 1: those of some clusters, and noise. There may be several groups in one.

    face_ids, core: shape (n,). one, other, distances: shape (m,), the neighbours within eps, each pair once. linked:
    shape (l, 2), in the order of the decisions. separated: shape (s, 2).
    """

    face_ids: Names
    core: Mask
    one: Slots
    other: Slots
    distances: npt.NDArray[np.float64]
    linked: Slots
    separated: Slots


def divide(group: Group) -> Slots:
    """The part that each face is in: int64, shape (n,), numbered from 0 in no particular order.

    Kruskal's algorithm for single linkage with cannot-links (Klein, Kamvar, Manning 2002; Wagstaff et al. 2001): parts
    grow together link by link, shortest first, but for a link that would bring two separated faces into one part. So
    a group is cut where it hangs together least, and without separations it is one part. Linked faces come first, in
    the order of the decisions; then cores that are neighbours, by distance and face ids; then each border joins the
    nearest core it can.
    """
    parts = _Parts(len(group.face_ids), group.separated)
    for one, other in group.linked.tolist():
        parts.join(one, other)
    rank = np.empty(len(group.face_ids), dtype=np.int64)
    rank[np.argsort(group.face_ids)] = np.arange(len(rank))
    one_is_core, other_is_core = group.core[group.one], group.core[group.other]

    between = np.flatnonzero(one_is_core & other_is_core)
    for one, other in _in_order(group, rank, between, parts):
        parts.join(one, other)

    outwards = np.flatnonzero(one_is_core != other_is_core)
    joined: set[int] = set()
    for one, other in _in_order(group, rank, outwards, parts):
        border = other if group.core[one] else one
        if border not in joined and parts.join(one, other):
            joined.add(border)
    return parts.numbers()


def _in_order(group: Group, rank: Slots, links: Slots, parts: _Parts) -> Iterator[tuple[int, int]]:
    """The ends of links that are not in one part yet, by distance, then face ids."""
    one, other = group.one[links], group.other[links]
    ranks = rank[one], rank[other]
    order = np.lexsort((np.maximum(*ranks), np.minimum(*ranks), group.distances[links]))
    for start in range(0, len(order), _PORTION):
        portion = order[start : start + _PORTION]
        numbers = parts.numbers()
        apart = portion[numbers[one[portion]] != numbers[other[portion]]]
        yield from zip(one[apart].tolist(), other[apart].tolist(), strict=True)


class _Parts:
    """Parts that grow together (union by size), and know from which faces theirs are separated."""

    def __init__(self, count: int, separated: Slots) -> None:
        self._parent = list(range(count))
        self._size = [1] * count
        # By root: its faces that are separated from some other, and those others.
        self._ends: dict[int, set[int]] = {}
        self._foes: dict[int, set[int]] = {}
        for one, other in separated.tolist():
            for face, foe in ((one, other), (other, one)):
                self._ends.setdefault(face, {face})
                self._foes.setdefault(face, set()).add(foe)

    def join(self, one: int, other: int) -> bool:
        """Make the parts of two faces one; False where that would bring separated faces together."""
        one, other = self._root(one), self._root(other)
        if one == other:
            return True
        if self._size[one] < self._size[other]:
            one, other = other, one
        if other in self._ends:
            if not self._foes.get(one, set()).isdisjoint(self._ends[other]):
                return False
            self._ends.setdefault(one, set()).update(self._ends.pop(other))
            self._foes.setdefault(one, set()).update(self._foes.pop(other))
        self._parent[other] = one
        self._size[one] += self._size[other]
        return True

    def numbers(self) -> Slots:
        """The root of every face."""
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


def groups(count: int, linked: Slots) -> Slots:
    """The group that each of `count` units belongs to when linked ones, shape (l, 2), are in one: shape (count,)."""
    ones = np.ones(len(linked), dtype=np.int8)
    links = coo_array((ones, (linked[:, 0], linked[:, 1])), (count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)

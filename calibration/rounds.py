"""Grouping of a sample by people, in rounds: only to draw a reference from it, that should hold each person once.

Agglomeration by the average over all pairs of two groups, as far as these are near (unweighted average linkage: Sokal
and Michener 1958), in rounds of mutually best pairs (Murtagh 1983). It does not chain as single linkage does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.distances import Distances, Vectors, block_distances

Groups = npt.NDArray[np.int64]

_NEIGHBOURS = 64
_ROWS_AT_ONCE = 1000
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class Edges:
    """Pairs of near faces, each once: positions one < other, and how far apart they are; all of shape (m,)."""

    one: Groups
    other: Groups
    distances: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """When two groups join. The similarity of a pair of faces is the reach less their distance; 0 without an edge.

    evidence: the sum of the similarities of two groups, over the root of the number of their pairs, is at least this.
    relative: their mean similarity is at least this share of that within either of them.
    """

    reach: float
    evidence: float
    relative: float


def edges_within(vectors: Vectors, offsets: Distances, reach: float) -> Edges:
    """The 64 nearest of each face by distance less the mean of the offsets, within reach; from either end."""
    n = len(vectors)
    count = min(_NEIGHBOURS, n - 1)
    found = []
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, n))
        distances = block_distances(vectors[rows], vectors) - (offsets[rows, None] + offsets[None]) / 2
        distances[np.arange(len(rows)), rows] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(distances, nearest, axis=1)
        row, column = np.nonzero(near <= reach)
        ends = rows[row], nearest[row, column]
        found.append((np.minimum(*ends) * n + np.maximum(*ends), near[row, column]))
    keys, first = np.unique(np.concatenate([key for key, _ in found]), return_index=True)
    return Edges(keys // n, keys % n, np.concatenate([near for _, near in found])[first].astype(np.float64))


def group(n: int, edges: Edges, rule: Rule) -> Groups:
    """The group of each of n faces, as the position of one of its members: shape (n,)."""
    one, other = edges.one, edges.other
    similarity: Distances = rule.reach - edges.distances
    group_of = np.arange(n)
    size, inner = np.ones(n), np.zeros(n)
    for _ in range(_MOST_ROUNDS):
        partner = _best_partners(n, one, other, similarity, size, inner, rule)
        survivors = np.flatnonzero(partner >= 0)
        survivors = survivors[(partner[partner[survivors]] == survivors) & (survivors < partner[survivors])]
        if not len(survivors):
            break
        absorbed = partner[survivors]
        to = np.arange(n)
        to[absorbed] = survivors
        group_of = to[group_of]
        size[survivors] += size[absorbed]
        inner[survivors] += inner[absorbed]
        one, other = to[one], to[other]
        inside = one == other
        np.add.at(inner, one[inside], similarity[inside])
        one, other, similarity = one[~inside], other[~inside], similarity[~inside]
        keys, position = np.unique(np.minimum(one, other) * n + np.maximum(one, other), return_inverse=True)
        one, other = keys // n, keys % n
        similarity = np.bincount(position, similarity, len(keys)).astype(np.float64)
    return group_of


def _best_partners(
    n: int, one: Groups, other: Groups, similarity: Distances, size: Distances, inner: Distances, rule: Rule
) -> Groups:
    """The partner that each group would join at the least cost, -1 for none; ties by position."""
    pairs = size[one] * size[other]
    mean = similarity / pairs
    both = (size[one] > 1) & (size[other] > 1)
    within = inner / np.maximum(size * (size - 1) / 2, 1)
    needed = np.where(both, rule.relative * np.minimum(within[one], within[other]), 0.0)
    cost = rule.evidence / np.sqrt(pairs) - mean
    may = np.flatnonzero((cost <= 0) & (mean >= needed))
    ends = np.concatenate([one[may], other[may]])
    others = np.concatenate([other[may], one[may]])
    order = np.lexsort((others, np.concatenate([cost[may], cost[may]]), ends))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = ends[order][1:] != ends[order][:-1]
    partner = np.full(n, -1, dtype=np.int64)
    partner[ends[order][first]] = others[order][first]
    return partner

"""Small array operations that the whole package uses.

Slots are int64 arrays of row numbers, of shape (n,); -1 stands for no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]

NO_SLOTS: Slots = np.empty(0, dtype=np.int64)


def spans(starts: Slots, sizes: Slots) -> Slots:
    """The positions of many ranges, one range after the other: shape (sum of sizes,)."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - sizes), sizes) + np.arange(total)


def grown(column: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """A longer copy of a column. Values beyond the old end are undefined, and take no memory until they are written."""
    longer = np.empty(length, dtype=column.dtype)
    longer[: len(column)] = column
    return longer


def unique(*slots: Slots) -> Slots:
    """The distinct values of all these arrays, ascending. Several times as fast as numpy's `unique`, which hashes."""
    ordered = np.sort(np.concatenate([NO_SLOTS, *slots]))
    return ordered[first_of_each(ordered)]


def first_of_each(ordered: npt.NDArray[Any]) -> Mask:
    """Which entries of an ordered array differ from the entry before them."""
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def are_among(values: npt.NDArray[Any], ordered: npt.NDArray[Any]) -> Mask:
    """Which of these values are in an ascending array. Many times as fast as numpy's `isin`, which hashes."""
    if not len(ordered):
        return np.zeros(len(values), dtype=np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)


def prefixed(**sections: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of several sections of a state in one mapping, by "section.array"."""
    return {f"{name}.{key}": array for name, section in sections.items() for key, array in section.items()}


def section(state: Mapping[str, npt.NDArray[Any]], name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of one section of a state that `prefixed` put together."""
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}


def least(groups: Slots, values: npt.NDArray[Any], names: Names) -> Slots:
    """For each distinct group, ascending, the position of its least entry by (value, name).

    All three arrays have shape (n,). Names are compared only where values tie, because strings compare slowly.
    """
    if not len(groups):
        return NO_SLOTS
    order = np.lexsort((values, groups))
    ordered_groups = groups[order]
    ordered_values = values[order]
    first = np.flatnonzero(first_of_each(ordered_groups))
    sizes = np.diff(first, append=len(order))
    tied = ordered_values == np.repeat(ordered_values[first], sizes)
    best = order[first]
    ties = np.add.reduceat(tied, first, dtype=np.int64)
    for group in np.flatnonzero(ties > 1).tolist():
        start = first[group]
        candidates = order[start : start + ties[group]]
        best[group] = min(candidates.tolist(), key=names.__getitem__)
    return best

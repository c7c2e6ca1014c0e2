"""Small array operations that the whole room uses. Slots are int64 arrays of row numbers; -1 is none."""

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
    """A longer copy of a column. What is beyond the old end is undefined, and takes no memory until it is written."""
    longer = np.empty(length, dtype=column.dtype)
    longer[: len(column)] = column
    return longer


def unique(*parts: Slots) -> Slots:
    """The distinct slots of all parts, ascending. (Several times as fast as numpy's, which hashes.)"""
    slots = np.sort(np.concatenate([NO_SLOTS, *parts]))
    return slots[first_of_each(slots)]


def first_of_each(ordered: npt.NDArray[Any]) -> Mask:
    """Which entries of an ordered array differ from the one before."""
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def joined(**states: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of several parts under one roof, by the part's name and their own."""
    return {f"{name}.{key}": array for name, state in states.items() for key, array in state.items()}


def part(state: Mapping[str, npt.NDArray[Any]], name: str) -> dict[str, npt.NDArray[Any]]:
    """One of the parts that were `joined`."""
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}


def least(groups: Slots, values: npt.NDArray[Any], names: Names) -> Slots:
    """For each distinct group, ascending, the position of its least entry by (value, name).

    All of shape (n,). Names are looked at only where values tie.
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
        among = order[start : start + ties[group]]
        best[group] = min(among.tolist(), key=names.__getitem__)
    return best

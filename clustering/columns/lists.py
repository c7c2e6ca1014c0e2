"""Many growing lists of int32 in one array: the edges of each node, the members of each cluster."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots, first_of_each, grown, spans, unique

_NONE = 255
_FIRST_POOL = 4096
_GROWTH = 1.3


def _ladder() -> Slots:
    """The capacities a list goes through: four steps to a doubling, so about a tenth is spare on average."""
    steps = [1, 2, 4, 6]
    base = 8
    while base < 2**31:
        steps += [base, base * 5 // 4, base * 6 // 4, base * 7 // 4]
        base *= 2
    return np.array(steps, dtype=np.int64)


_CAPACITIES = _ladder()


class Lists:
    """Lists are numbered from 0 and all exist, most of them empty. Values are int32.

    A list lies in one block of the pool, so that many lists are read with one gather. When it outgrows its block, it
    moves to one of the next capacity, and the old block waits for another list.
    """

    def __init__(self) -> None:
        """All lists empty."""
        self.sizes: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._starts: Slots = np.empty(0, dtype=np.int64)
        self._rungs: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._pool: npt.NDArray[np.int32] = np.empty(_FIRST_POOL, dtype=np.int32)
        self._used = 0
        self._free: dict[int, array[int]] = {}

    def ensure(self, length: int) -> None:
        """Know lists 0 to `length` - 1."""
        known = len(self.sizes)
        if length > known:
            length = max(length, int(known * _GROWTH))
            self.sizes = grown(self.sizes, length)
            self._starts = grown(self._starts, length)
            self._rungs = grown(self._rungs, length)
            self.sizes[known:] = 0
            self._starts[known:] = 0
            self._rungs[known:] = _NONE

    def read(self, lists: Slots) -> tuple[Slots, Slots]:
        """The contents of distinct lists: for each value the list it is in, and the values."""
        sizes = self.sizes[lists].astype(np.int64)
        positions = spans(self._starts[lists], sizes)
        return np.repeat(lists, sizes), self._pool[positions].astype(np.int64)

    def append(self, lists: Slots, values: Slots) -> None:
        """Append values[i] to lists[i]; a list may occur many times."""
        if not len(lists):
            return
        order = np.argsort(lists)
        ordered = lists[order]
        first = np.flatnonzero(first_of_each(ordered))
        counts = np.diff(first, append=len(ordered))
        targets = ordered[first]
        sizes = self.sizes[targets].astype(np.int64)
        self._give_room(targets, sizes, sizes + counts)
        self._pool[spans(self._starts[targets] + sizes, counts)] = values[order]
        self.sizes[targets] = sizes + counts

    def retain(self, lists: Slots, keep: Mask) -> None:
        """Shorten distinct lists: `keep` says for each value, as `read(lists)` gave them, whether it stays."""
        if keep.all():
            return
        sizes = self.sizes[lists].astype(np.int64)
        starts = self._starts[lists]
        kept = np.bincount(np.repeat(np.arange(len(lists)), sizes)[keep], minlength=len(lists))
        self._pool[spans(starts, kept)] = self._pool[spans(starts, sizes)[keep]]
        self.sizes[lists] = kept
        emptied = lists[kept == 0]
        self._give_back(emptied)
        self._rungs[emptied] = _NONE

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The pool as far as it is used, where each list lies in it, and the blocks that are free."""
        return {
            "sizes": self.sizes,
            "starts": self._starts,
            "rungs": self._rungs,
            "pool": self._pool[: self._used],
            "free_rungs": np.repeat(
                np.array(list(self._free), dtype=np.int64), [len(free) for free in self._free.values()]
            ),
            "free_starts": np.array([start for free in self._free.values() for start in free], dtype=np.int64),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what `state` was taken from."""
        self.sizes, self._starts, self._rungs = state["sizes"], state["starts"], state["rungs"]
        self._pool, self._used = state["pool"], len(state["pool"])
        self._free = {
            rung: array("q", state["free_starts"][state["free_rungs"] == rung].tobytes())
            for rung in np.unique(state["free_rungs"]).tolist()
        }

    def _give_room(self, lists: Slots, sizes: Slots, needed: Slots) -> None:
        rungs = self._rungs[lists]
        capacities = np.where(rungs == _NONE, 0, _CAPACITIES[np.minimum(rungs, len(_CAPACITIES) - 1)])
        tight = capacities < needed
        if not tight.any():
            return
        lists, sizes = lists[tight], sizes[tight]
        new_rungs = np.searchsorted(_CAPACITIES, needed[tight])
        starts = self._blocks(new_rungs)
        self._pool[spans(starts, sizes)] = self._pool[spans(self._starts[lists], sizes)]
        self._give_back(lists)
        self._starts[lists] = starts
        self._rungs[lists] = new_rungs

    def _blocks(self, rungs: Slots) -> Slots:
        """A free block for each rung asked for: their starts."""
        starts = np.empty(len(rungs), dtype=np.int64)
        for rung in unique(rungs).tolist():
            wanted = np.flatnonzero(rungs == rung)
            free = self._free.get(rung, array("q"))
            again = min(len(free), len(wanted))
            if again:
                starts[wanted[:again]] = np.frombuffer(free[-again:], dtype=np.int64)
                del free[-again:]
            capacity = int(_CAPACITIES[rung])
            fresh = len(wanted) - again
            starts[wanted[again:]] = self._used + capacity * np.arange(fresh)
            self._used += capacity * fresh
        if self._used > len(self._pool):
            self._pool = grown(self._pool, int(self._used * _GROWTH))
        return starts

    def _give_back(self, lists: Slots) -> None:
        rungs = self._rungs[lists]
        for rung in np.unique(rungs[rungs != _NONE]).tolist():
            starts = self._starts[lists[rungs == rung]]
            self._free.setdefault(rung, array("q")).frombytes(starts.tobytes())

"""Many growing lists of int32 in one array: the edges of each node, the members of each cluster.

An allocator with segregated free lists (Wilson et al. 1995): every list has one block of a fixed set of capacities,
the size classes, and a free block is reused only for a list of the same class. So a block is found without search, and
the array does not fragment into blocks that fit nobody.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Mask, Slots, first_of_each, grown, spans, unique

_NO_BLOCK = 255
_FIRST_POOL = 4096
_GROWTH = 1.3
_LARGEST_VALUE = 2**31 - 1


def _capacities() -> Slots:
    """The capacity of each size class: four classes to a doubling, so about a tenth is spare on average."""
    capacities = [1, 2, 4, 6]
    base = 8
    while base < 2**31:
        capacities += [base, base * 5 // 4, base * 6 // 4, base * 7 // 4]
        base *= 2
    return np.array(capacities, dtype=np.int64)


_CAPACITIES = _capacities()


class Lists:
    """Lists numbered from 0; those that nothing was appended to are empty and have no block. Values are int32.

    A list lies in one block of the pool, so that many lists are read with one gather. A list that outgrows its block
    moves to a block of a larger size class, and the old block becomes free.
    """

    def __init__(self) -> None:
        """All lists are empty."""
        self.sizes: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)
        # By list: where its block starts in the pool, and the block's size class.
        self._starts: Slots = np.empty(0, dtype=np.int64)
        self._size_classes: npt.NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._pool: npt.NDArray[np.int32] = np.empty(_FIRST_POOL, dtype=np.int32)
        # The pool up to here is divided into blocks.
        self._used = 0
        # By size class, the starts of free blocks.
        self._free: dict[int, array[int]] = {}

    def ensure(self, length: int) -> None:
        """Make lists 0 to `length` - 1 usable."""
        known = len(self.sizes)
        if length > known:
            length = max(length, int(known * _GROWTH))
            self.sizes = grown(self.sizes, length)
            self._starts = grown(self._starts, length)
            self._size_classes = grown(self._size_classes, length)
            self.sizes[known:] = 0
            self._starts[known:] = 0
            self._size_classes[known:] = _NO_BLOCK

    def read(self, lists: Slots) -> tuple[Slots, Slots]:
        """The contents of distinct lists: for each value the number of its list, and the value."""
        sizes = self.sizes[lists].astype(np.int64)
        positions = spans(self._starts[lists], sizes)
        return np.repeat(lists, sizes), self._pool[positions].astype(np.int64)

    def append(self, lists: Slots, values: Slots) -> None:
        """Append values[i] to lists[i]; a list may occur many times. Raises ValueError for values beyond int32."""
        if not len(lists):
            return
        if values.max() > _LARGEST_VALUE:
            raise ValueError(f"lists hold values up to {_LARGEST_VALUE:,}, not {values.max():,}")
        # Sorted by list, the new values of a list are neighbours, and are written as one span behind its old values.
        order = np.argsort(lists)
        ordered = lists[order]
        first = np.flatnonzero(first_of_each(ordered))
        counts = np.diff(first, append=len(ordered))
        targets = ordered[first]
        sizes = self.sizes[targets].astype(np.int64)
        self._ensure_capacity(targets, sizes, sizes + counts)
        self._pool[spans(self._starts[targets] + sizes, counts)] = values[order]
        self.sizes[targets] = sizes + counts

    def retain(self, lists: Slots, keep: Mask) -> None:
        """Drop values from distinct lists. `keep` has one entry for each value, in the order of `read(lists)`."""
        if keep.all():
            return
        sizes = self.sizes[lists].astype(np.int64)
        starts = self._starts[lists]
        kept = np.bincount(np.repeat(np.arange(len(lists)), sizes)[keep], minlength=len(lists))
        # Kept values move to the front of the same block. The right side is a copy, so overlaps do no harm.
        self._pool[spans(starts, kept)] = self._pool[spans(starts, sizes)[keep]]
        self.sizes[lists] = kept
        # A list that only got shorter keeps its block: it is likely to grow again. An empty one gives it up.
        emptied = lists[kept == 0]
        self._free_blocks(emptied)
        self._size_classes[emptied] = _NO_BLOCK

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The used part of the pool, the block of each list, and the free blocks. Views where possible."""
        return {
            "sizes": self.sizes,
            "starts": self._starts,
            "size_classes": self._size_classes,
            "pool": self._pool[: self._used],
            "free_size_classes": np.repeat(
                np.array(list(self._free), dtype=np.int64), [len(free) for free in self._free.values()]
            ),
            "free_starts": np.array([start for free in self._free.values() for start in free], dtype=np.int64),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned."""
        self.sizes, self._starts, self._size_classes = state["sizes"], state["starts"], state["size_classes"]
        self._pool, self._used = state["pool"], len(state["pool"])
        self._free = {
            size_class: array("q", state["free_starts"][state["free_size_classes"] == size_class].tobytes())
            for size_class in np.unique(state["free_size_classes"]).tolist()
        }

    def _ensure_capacity(self, lists: Slots, sizes: Slots, needed: Slots) -> None:
        """Move lists of these sizes that hold fewer than `needed` values to larger blocks."""
        size_classes = self._size_classes[lists]
        # _NO_BLOCK is no index of _CAPACITIES: `minimum` keeps the gather valid, `where` then replaces the value.
        capacities = np.where(size_classes == _NO_BLOCK, 0, _CAPACITIES[np.minimum(size_classes, len(_CAPACITIES) - 1)])
        full = capacities < needed
        if not full.any():
            return
        lists, sizes = lists[full], sizes[full]
        new_classes = np.searchsorted(_CAPACITIES, needed[full])
        starts = self._allocate(new_classes)
        self._pool[spans(starts, sizes)] = self._pool[spans(self._starts[lists], sizes)]
        self._free_blocks(lists)
        self._starts[lists] = starts
        self._size_classes[lists] = new_classes

    def _allocate(self, size_classes: Slots) -> Slots:
        """The starts of one block for each of these size classes: free blocks first, then from the end of the pool."""
        starts = np.empty(len(size_classes), dtype=np.int64)
        for size_class in unique(size_classes).tolist():
            wanted = np.flatnonzero(size_classes == size_class)
            free = self._free.get(size_class, array("q"))
            reused = min(len(free), len(wanted))
            if reused:
                starts[wanted[:reused]] = np.frombuffer(free[-reused:], dtype=np.int64)
                del free[-reused:]
            capacity = int(_CAPACITIES[size_class])
            new = len(wanted) - reused
            starts[wanted[reused:]] = self._used + capacity * np.arange(new)
            self._used += capacity * new
        if self._used > len(self._pool):
            self._pool = grown(self._pool, int(self._used * _GROWTH))
        return starts

    def _free_blocks(self, lists: Slots) -> None:
        """Mark the blocks of these lists as free."""
        size_classes = self._size_classes[lists]
        for size_class in np.unique(size_classes[size_classes != _NO_BLOCK]).tolist():
            starts = self._starts[lists[size_classes == size_class]]
            self._free.setdefault(size_class, array("q")).frombytes(starts.tobytes())

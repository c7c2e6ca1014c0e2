"""Which row has which name, asked for a whole batch at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Names, Slots

_EMPTY, _REMOVED = -1, -2
_FIRST_LENGTH = 1024


class NameIndex:
    """Rows by name: a hash table with linear probing (Knuth, volume 3, section 6.4, algorithm L) in two arrays.

    A record names some 50 neighbours a face, and at a million faces nearly each look into a dict of str waits for
    memory several times. Here a batch's names are looked up together, so that the waiting overlaps: three times as
    fast, and a fourth of the memory. The names themselves stay in the column that `names` gives.
    """

    def __init__(self, names: Callable[[], Names]) -> None:
        """Empty. `names` gives the column of names, by row."""
        self._names = names
        self._clear(_FIRST_LENGTH)

    def find(self, names: list[str]) -> Slots:
        """The row of each name, -1 where it has none."""
        rows = np.full(len(names), -1, dtype=np.int64)
        wanted = np.fromiter(names, np.object_, len(names))
        places, tags = self._hashed(names)
        column = self._names()
        asking = np.arange(len(names))
        while len(asking):
            found = self._rows[places]
            alike = np.flatnonzero((found >= 0) & (self._tags[places] == tags))
            right = column[found[alike]] == wanted[asking[alike]]
            rows[asking[alike[right]]] = found[alike[right]]
            on = found != _EMPTY
            on[alike[right]] = False
            asking, tags = asking[on], tags[on]
            places = (places[on] + 1) & self._mask
        return rows

    def add(self, names: Iterable[str], rows: Slots) -> None:
        """Take in distinct names that are not in it yet."""
        self._filled += len(rows)
        if 2 * self._filled > len(self._rows):
            self._rebuild(len(rows))
        self._put(list(names), rows)

    def remove(self, names: Iterable[str], rows: Slots) -> None:
        """Forget names and the rows they have."""
        places, _ = self._hashed(list(names))
        leaving = rows
        while len(leaving):
            on = self._rows[places] != leaving
            self._rows[places[~on]] = _REMOVED
            places, leaving = (places[on] + 1) & self._mask, leaving[on]

    def _clear(self, length: int) -> None:
        self._rows = np.full(length, _EMPTY, dtype=np.int32)
        self._tags = np.zeros(length, dtype=np.int32)
        self._mask = length - 1
        self._filled = 0  # rows, and places of removed ones

    def _hashed(self, names: list[str]) -> tuple[Slots, npt.NDArray[np.int32]]:
        """Where to look first for each name, and 32 other bits of its hash to know it by."""
        hashes = np.fromiter(map(hash, names), np.int64, len(names))
        return hashes & self._mask, (hashes >> 32).astype(np.int32)

    def _rebuild(self, coming: int) -> None:
        rows = self._rows[self._rows >= 0].astype(np.int64)
        length = len(self._rows)
        while length < 3 * (len(rows) + coming):
            length *= 2
        self._clear(length)
        self._filled = len(rows) + coming
        self._put(self._names()[rows].tolist(), rows)

    def _put(self, names: list[str], rows: Slots) -> None:
        places, tags = self._hashed(names)
        while len(rows):
            free = self._rows[places] < 0
            # Where two names want one place, the one that is written last has it, and the other one goes on.
            self._rows[places[free]] = rows[free]
            self._tags[places[free]] = tags[free]
            on = self._rows[places] != rows
            places, tags, rows = (places[on] + 1) & self._mask, tags[on], rows[on]

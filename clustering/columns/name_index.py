"""Rows by name, looked up for a whole batch at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Names, Slots

_EMPTY, _REMOVED = -1, -2
_FIRST_LENGTH = 1024


class NameIndex:
    """Rows by name: a hash table with linear probing (Knuth, volume 3, section 6.4, algorithm L) in two arrays.

    A record has some 50 neighbours a face, and at a million faces nearly each lookup in a dict of str waits for memory
    several times. Here the names of a batch are looked up together, so that the waits overlap: three times as fast,
    with a fourth of the memory. The names themselves stay in the column that `names` returns.
    """

    def __init__(self, names: Callable[[], Names]) -> None:
        """Empty. `names` returns the column of names, by row."""
        self._names = names
        self._clear(_FIRST_LENGTH)

    def find(self, names: list[str]) -> Slots:
        """The row of each name, -1 where there is none: shape (n,)."""
        rows = np.full(len(names), -1, dtype=np.int64)
        wanted = np.fromiter(names, np.object_, len(names))
        positions, tags = self._hashed(names)
        column = self._names()
        # All names probe in step; `pending` are those that have met neither their row nor an empty position yet.
        pending = np.arange(len(names))
        while len(pending):
            candidates = self._rows[positions]
            # Strings are compared only where the tag matches, which is nearly always the row that is wanted.
            same_tag = np.flatnonzero((candidates >= 0) & (self._tags[positions] == tags))
            same_name = column[candidates[same_tag]] == wanted[pending[same_tag]]
            rows[pending[same_tag[same_name]]] = candidates[same_tag[same_name]]
            unresolved = candidates != _EMPTY
            unresolved[same_tag[same_name]] = False
            pending, tags = pending[unresolved], tags[unresolved]
            positions = (positions[unresolved] + 1) & self._mask
        return rows

    def add(self, names: Iterable[str], rows: Slots) -> None:
        """Add distinct names that the index does not hold yet."""
        self._filled += len(rows)
        if 2 * self._filled > len(self._rows):
            self._rebuild(len(rows))
        self._insert(list(names), rows)

    def remove(self, names: Iterable[str], rows: Slots) -> None:
        """Remove names, given with their rows."""
        positions, _ = self._hashed(list(names))
        pending = rows
        while len(pending):
            elsewhere = self._rows[positions] != pending
            # Not _EMPTY: a search for a name further on must not end here.
            self._rows[positions[~elsewhere]] = _REMOVED
            positions, pending = (positions[elsewhere] + 1) & self._mask, pending[elsewhere]

    def _clear(self, length: int) -> None:
        self._rows = np.full(length, _EMPTY, dtype=np.int32)
        self._tags = np.zeros(length, dtype=np.int32)
        self._mask = length - 1  # `length` is a power of two
        self._filled = 0  # positions that hold a row, or held one that was removed

    def _hashed(self, names: list[str]) -> tuple[Slots, npt.NDArray[np.int32]]:
        """The position where the search for each name begins, and its tag: 32 other bits of the hash."""
        hashes = np.fromiter(map(hash, names), np.int64, len(names))
        return hashes & self._mask, (hashes >> 32).astype(np.int32)

    def _rebuild(self, coming: int) -> None:
        """Drop removed positions, and grow where that is not enough for `coming` more names."""
        rows = self._rows[self._rows >= 0].astype(np.int64)
        length = len(self._rows)
        while length < 3 * (len(rows) + coming):
            length *= 2
        self._clear(length)
        self._filled = len(rows) + coming
        self._insert(self._names()[rows].tolist(), rows)

    def _insert(self, names: list[str], rows: Slots) -> None:
        positions, tags = self._hashed(names)
        while len(rows):
            free = self._rows[positions] < 0
            # Where two names want one position, the last write wins, and the other name goes on to the next position.
            self._rows[positions[free]] = rows[free]
            self._tags[positions[free]] = tags[free]
            displaced = self._rows[positions] != rows
            positions, tags, rows = (positions[displaced] + 1) & self._mask, tags[displaced], rows[displaced]

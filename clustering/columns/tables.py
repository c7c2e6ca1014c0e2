"""Tables of columns: rows are taken and released, and a released row is taken again. Knows nothing of faces."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Slots, grown

_FIRST_ROWS = 1024
_GROWTH = 1.5


class Table:
    """Columns of one length, one attribute each. A subclass names them in `columns`: their dtype and their empty value.

    A row that nobody holds has the empty value in every column. Columns that follow from others are named in
    `derived`, and are not part of the state.
    """

    columns: ClassVar[Mapping[str, tuple[npt.DTypeLike, object]]]
    derived: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        """No rows."""
        self.used = 0
        self._free = array("q")
        for name, (dtype, _) in self.columns.items():
            setattr(self, name, np.empty(_FIRST_ROWS, dtype=dtype))

    @property
    def rows(self) -> int:
        """The rows that are taken."""
        return self.used - len(self._free)

    def taken(self) -> Slots:
        """The rows that are taken, ascending."""
        held = np.ones(self.used, dtype=np.bool_)
        held[np.array(self._free, dtype=np.int64)] = False
        return np.flatnonzero(held)

    def take(self, count: int) -> Slots:
        """Take rows, all columns empty: released ones first, then new ones."""
        again = min(count, len(self._free))
        slots = np.empty(count, dtype=np.int64)
        if again:
            slots[:again] = np.frombuffer(self._free[-again:], dtype=np.int64)
            del self._free[-again:]
        fresh = count - again
        slots[again:] = np.arange(self.used, self.used + fresh)
        self.used += fresh
        self._make_room()
        for name, (_, empty) in self.columns.items():
            getattr(self, name)[self.used - fresh : self.used] = empty
        return slots

    def release(self, slots: Slots) -> None:
        """Give rows back and empty them."""
        for name, (_, empty) in self.columns.items():
            getattr(self, name)[slots] = empty
        self._free.frombytes(np.ascontiguousarray(slots, dtype=np.int64).tobytes())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The columns as far as they are used, and the rows that are free."""
        columns = {name: getattr(self, name)[: self.used] for name in self.columns if name not in self.derived}
        return {**columns, "free": np.array(self._free, dtype=np.int64)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what `state` was taken from, but for the derived columns: these are empty."""
        for name in self.columns.keys() - self.derived:
            self.used = len(state[name])
            setattr(self, name, grown(state[name], max(_FIRST_ROWS, self.used)))
        for name in self.derived:
            dtype, empty = self.columns[name]
            setattr(self, name, np.full(max(_FIRST_ROWS, self.used), empty, dtype=dtype))
        self._free = array("q", state["free"].astype(np.int64).tobytes())

    def _make_room(self) -> None:
        first = next(iter(self.columns))
        if self.used <= len(getattr(self, first)):
            return
        length = int(self.used * _GROWTH)
        for name in self.columns:
            setattr(self, name, grown(getattr(self, name), length))

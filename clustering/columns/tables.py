"""Tables of columns, whose rows are taken, released and reused. Knows nothing of faces."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from clustering.columns.arrays import Slots, grown
from errors import Fatal

_FIRST_ROWS = 1024
_GROWTH = 1.5
# Other columns and lists refer to rows by int32.
LARGEST_ROW = 2**31 - 1


class Table:
    """Columns of one length, one attribute each. A subclass lists them in `columns`: name, dtype and empty value.

    A free row has the empty value in every column. Columns that can be computed from other data are listed in
    `derived`, and are not part of the state.
    """

    columns: ClassVar[Mapping[str, tuple[npt.DTypeLike, object]]]
    derived: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        """Without rows."""
        self.used = 0
        self._free = array("q")
        for name, (dtype, _) in self.columns.items():
            setattr(self, name, np.empty(_FIRST_ROWS, dtype=dtype))

    @property
    def rows(self) -> int:
        """The number of rows in use."""
        return self.used - len(self._free)

    def taken(self) -> Slots:
        """The rows in use, ascending."""
        in_use = np.ones(self.used, dtype=np.bool_)
        in_use[np.array(self._free, dtype=np.int64)] = False
        return np.flatnonzero(in_use)

    def take(self, count: int) -> Slots:
        """Take `count` rows with empty values: released rows first, then new ones. Raises Fatal for too many rows."""
        reused = min(count, len(self._free))
        slots = np.empty(count, dtype=np.int64)
        if reused:
            slots[:reused] = np.frombuffer(self._free[-reused:], dtype=np.int64)
            del self._free[-reused:]
        new = count - reused
        if self.used + new > LARGEST_ROW + 1:
            name = type(self).__name__.lower()
            raise Fatal(f"one clustering holds at most {LARGEST_ROW + 1:,} {name}: make eps_max smaller")
        slots[reused:] = np.arange(self.used, self.used + new)
        self.used += new
        self._ensure_capacity()
        # `grown` leaves the new rows undefined. Released rows were emptied by `release`.
        for name, (_, empty) in self.columns.items():
            getattr(self, name)[self.used - new : self.used] = empty
        return slots

    def release(self, slots: Slots) -> None:
        """Empty these rows and mark them as free."""
        for name, (_, empty) in self.columns.items():
            getattr(self, name)[slots] = empty
        self._free.frombytes(np.ascontiguousarray(slots, dtype=np.int64).tobytes())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The used length of every column that is not derived, and the free rows. Views, not copies."""
        columns = {name: getattr(self, name)[: self.used] for name in self.columns if name not in self.derived}
        return {**columns, "free": np.array(self._free, dtype=np.int64)}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` returned. Derived columns are empty afterwards."""
        for name in self.columns.keys() - self.derived:
            self.used = len(state[name])
            setattr(self, name, grown(state[name], max(_FIRST_ROWS, self.used)))
        for name in self.derived:
            dtype, empty = self.columns[name]
            setattr(self, name, np.full(max(_FIRST_ROWS, self.used), empty, dtype=dtype))
        self._free = array("q", state["free"].astype(np.int64).tobytes())

    def _ensure_capacity(self) -> None:
        first = next(iter(self.columns))
        if self.used <= len(getattr(self, first)):
            return
        length = int(self.used * _GROWTH)
        for name in self.columns:
            setattr(self, name, grown(getattr(self, name), length))

"""The faces of a shard by slot: vectors, ids, analyses, and which slots are live. Slots are HNSW's labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from index.exact import Numbers, Vectors
from index.parameters import DIMENSIONS

_FIRST_CAPACITY = 1024
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Store:
    """Columns that grow by doubling. A slot is live, dropped (may still be a node of HNSW), or free for a new face."""

    def __init__(self, capacity: int = _FIRST_CAPACITY) -> None:
        """`capacity`: slots to begin with."""
        self.vectors: Vectors = np.empty((capacity, DIMENSIONS), dtype=np.float32)
        self.analyses: Numbers = np.empty(capacity, dtype=np.int64)
        self.face_ids: npt.NDArray[np.object_] = np.empty(capacity, dtype=np.object_)
        self.live: npt.NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.used = 0
        self.faces = 0
        self._free: Numbers = np.empty(0, dtype=np.int64)

    def put(self, vectors: Vectors, face_ids: Sequence[str], analyses: Sequence[int]) -> Numbers:
        """Take faces in: float32, shape (n, DIMENSIONS), and n ids and analyses. Their slots: int64, shape (n,)."""
        count = len(face_ids)
        reused, self._free = self._free[:count], self._free[count:]
        fresh = count - len(reused)
        self._make_room(self.used + fresh)
        slots = np.concatenate([reused, np.arange(self.used, self.used + fresh)])
        self.vectors[slots] = vectors
        self.analyses[slots] = analyses
        self.face_ids[slots] = face_ids
        self.live[slots] = True
        self.used += fresh
        self.faces += count
        return slots

    def drop(self, slots: Numbers) -> None:
        """These faces are gone. Their slots stay taken until they are freed."""
        self.live[slots] = False
        self.face_ids[slots] = None
        self.faces -= len(slots)

    def free(self, slots: Numbers) -> None:
        """Dropped slots that nothing refers to any more may hold new faces."""
        self._free = np.concatenate([self._free, slots])

    def free_all_but(self, slots: Numbers) -> None:
        """All slots that are not live may hold new faces, except these: they are nodes of HNSW."""
        taken = self.live[: self.used].copy()
        taken[slots] = True
        self._free = np.flatnonzero(~taken)

    def live_slots(self) -> Numbers:
        """The slots of all live faces, ascending."""
        return np.flatnonzero(self.live[: self.used])

    def _make_room(self, needed: int) -> None:
        capacity = len(self.live)
        if needed <= capacity:
            return
        while capacity < needed:
            capacity *= 2
        # A rebuild may be reading the old arrays: it keeps them, and what it reads of them no longer changes.
        self.vectors = _grown(self.vectors, capacity)
        self.analyses = _grown(self.analyses, capacity)
        self.face_ids = _grown(self.face_ids, capacity)
        live = np.zeros(capacity, dtype=np.bool_)
        live[: len(self.live)] = self.live
        self.live = live


def _grown(column: npt.NDArray[_Scalar], capacity: int) -> npt.NDArray[_Scalar]:
    larger = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
    larger[: len(column)] = column
    return larger

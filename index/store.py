"""The faces of a shard by slot: vectors, ids, analyses, and which slots are live. HNSW labels its nodes with slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from calibration.reference import Reference
from index.exact import Distances, Numbers, Vectors
from index.layout import Layout
from index.parameters import Parameters
from schemas.faces import EMBEDDING_DIMENSIONS

_FIRST_CAPACITY = 1024
_SAMPLE = 10_000
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Store:
    """Columns that grow by doubling. A slot is live, dropped (may still be a node of HNSW), or free for a new face."""

    def __init__(
        self,
        reference: Reference | None = None,
        capacity: int = _FIRST_CAPACITY,
        dimension: int = EMBEDDING_DIMENSIONS,
    ) -> None:
        """An empty store with `capacity` slots, for distances that are calibrated with the reference, if there is one.

        offsets: of each face, by the reference; zeros without one.
        """
        self._reference = reference
        self.vectors: Vectors = np.empty((capacity, dimension), dtype=np.float32)
        self.offsets: Distances = np.zeros(capacity, dtype=np.float64)
        self.analyses: Numbers = np.empty(capacity, dtype=np.int64)
        self.face_ids: npt.NDArray[np.object_] = np.empty(capacity, dtype=np.object_)
        self.live: npt.NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.used = 0
        self.faces = 0
        self._free: Numbers = np.empty(0, dtype=np.int64)

    def put(self, vectors: Vectors, face_ids: Sequence[str], analyses: Sequence[int]) -> Numbers:
        """Add n faces: vectors are float32, shape (n, dimension). Returns their slots: int64, shape (n,)."""
        count = len(face_ids)
        reused, self._free = self._free[:count], self._free[count:]
        fresh = count - len(reused)
        self._ensure_capacity(self.used + fresh)
        slots = np.concatenate([reused, np.arange(self.used, self.used + fresh)])
        self.vectors[slots] = vectors
        if self._reference is not None and count:
            self.offsets[slots] = self._reference.offsets(vectors)
        self.analyses[slots] = analyses
        self.face_ids[slots] = face_ids
        self.live[slots] = True
        self.used += fresh
        self.faces += count
        return slots

    def drop(self, slots: Numbers) -> None:
        """Remove faces, with their vectors. Their slots stay occupied until they are freed."""
        self.live[slots] = False
        self.vectors[slots] = 0
        self.offsets[slots] = 0
        self.face_ids[slots] = None
        self.faces -= len(slots)

    def free(self, slots: Numbers) -> None:
        """Make dropped slots, which nothing refers to any more, available for new faces."""
        self._free = np.concatenate([self._free, slots])

    def free_all_but(self, slots: Numbers) -> None:
        """Make all slots that are not live available for new faces, except these: they are nodes of HNSW."""
        occupied = self.live[: self.used].copy()
        occupied[slots] = True
        self._free = np.flatnonzero(~occupied)

    def layout(self, parameters: Parameters) -> Layout:
        """The layout of a graph of the live faces. Of many a sample is looked at."""
        slots = self.live_slots()
        sample = slots[:: max(1, len(slots) // _SAMPLE)]
        return Layout.of(self.vectors[sample], parameters.limits(self.offsets[slots]))

    def state(self) -> tuple[Vectors, Distances | None, list[str | None]]:
        """The vectors, the offsets and the face ids of all slots in use; without a reference there are no offsets.

        Vectors and offsets are views: not to be changed. With the analysis and the slots of each scan, `restored` makes
        the store again.
        """
        offsets = None if self._reference is None else self.offsets[: self.used]
        return self.vectors[: self.used], offsets, self.face_ids[: self.used].tolist()

    @classmethod
    def restored(
        cls,
        vectors: Vectors,
        offsets: Distances | None,
        face_ids: Sequence[str | None],
        scans: Iterable[tuple[int, Sequence[int]]],
        reference: Reference | None = None,
    ) -> Store:
        """The store of a `state`, with the analysis number and the slots of each live scan. The vectors are copied.

        offsets: by the same reference; None: they are found again. No slot is free: see `free_all_but`.
        """
        store = cls(reference, max(len(vectors), 1), vectors.shape[1])
        store.used = len(vectors)
        store.vectors[: store.used] = vectors
        store.face_ids[: store.used] = face_ids
        for analysis, slots in scans:
            live = list(slots)
            store.analyses[live] = analysis
            store.live[live] = True
            store.faces += len(live)
        if offsets is not None:
            store.offsets[: store.used] = offsets
        elif reference is not None and store.faces:
            all_live = store.live_slots()
            store.offsets[all_live] = reference.offsets(store.vectors[all_live])
        return store

    def live_slots(self) -> Numbers:
        """The slots of all live faces, ascending."""
        return np.flatnonzero(self.live[: self.used])

    def _ensure_capacity(self, needed: int) -> None:
        capacity = len(self.live)
        if needed <= capacity:
            return
        while capacity < needed:
            capacity *= 2
        # A rebuild may be reading the old arrays. It keeps them, and the rows that it reads do not change.
        self.vectors = _grown(self.vectors, capacity)
        self.offsets = _grown(self.offsets, capacity)
        self.offsets[self.used :] = 0
        self.analyses = _grown(self.analyses, capacity)
        self.face_ids = _grown(self.face_ids, capacity)
        live = np.zeros(capacity, dtype=np.bool_)
        live[: len(self.live)] = self.live
        self.live = live


def _grown(column: npt.NDArray[_Scalar], capacity: int) -> npt.NDArray[_Scalar]:
    larger = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
    larger[: len(column)] = column
    return larger

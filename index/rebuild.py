"""A new HNSW without the deleted nodes, built in a thread while the old one is searched.

Marked nodes cost memory and time, and hnswlib's own reuse of them leaves others unreachable. So when their share has
grown too large, all live faces are inserted into a new graph. At a million faces that takes minutes, so it runs beside
the stream: the thread inserts the faces that were live when it began, then those added since, until none are left.
Then the owner inserts the last ones, marks those dropped meanwhile, and replaces the old graph. hnswlib inserts without
the interpreter's lock, with one thread here, so that the stream keeps the other cores.

The thread reads rows of the store that do not change: no slot is freed before the old graph is replaced.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque

import numpy as np

from index.exact import Numbers
from index.hnsw import Hnsw
from index.parameters import Parameters
from index.store import Store

_AT_ONCE = 1024


class Rebuild:
    """A graph that is being built. The owner of the store calls all methods; only the thread uses the new graph."""

    def __init__(self, store: Store, parameters: Parameters) -> None:
        """Start the thread, with the faces that are live now."""
        self._store = store
        self._parameters = parameters
        self._to_add: deque[Numbers] = deque([store.live_slots()])
        self._graph = Hnsw(parameters, store.layout(parameters), capacity=max(2 * store.faces, _AT_ONCE))
        self._added: list[Numbers] = []
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="index-rebuild")
        self._thread.start()

    def add(self, slots: Numbers) -> None:
        """Insert faces that were put into the store since."""
        self._to_add.append(slots)

    @property
    def ready(self) -> bool:
        """Whether `finish` will return at once."""
        return not self._thread.is_alive()

    def finish(self) -> Hnsw:
        """Wait for the thread, and return the new graph of all live faces. Raises what the thread raised."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        while self._to_add:
            self._insert(self._to_add.popleft(), self._parameters.threads)
        added = np.concatenate(self._added)
        self._graph.mark(added[~self._store.live[added]])
        return self._graph

    def close(self) -> None:
        """Stop the thread and wait for it; the new graph is discarded."""
        self._stop.set()
        self._thread.join()

    def end_with(self, index: object) -> None:
        """Stop the thread when nobody has the index any more that it builds for. Until then it holds the store."""
        weakref.finalize(index, self._stop.set)

    def _run(self) -> None:
        try:
            while self._to_add:
                slots = self._to_add.popleft()
                for start in range(0, len(slots), _AT_ONCE):
                    # The interpreter waits for this thread before it exits, so this thread ends with the main one.
                    if self._stop.is_set() or not threading.main_thread().is_alive():
                        return
                    self._insert(slots[start : start + _AT_ONCE], threads=1)
        except BaseException as failure:  # noqa: BLE001 - raised to the owner, in `finish`
            self._failure = failure

    def _insert(self, slots: Numbers, threads: int) -> None:
        slots = slots[self._store.live[slots]]
        self._graph.add(self._store.vectors[slots], self._store.offsets[slots], slots, threads)
        self._added.append(slots)

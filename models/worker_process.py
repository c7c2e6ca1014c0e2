"""Processes that decode for another one: each ends with the one that started it, or when a deadline passes.

A decoder that never returns holds the interpreter lock or not; Python cannot stop it either way. faulthandler's
watchdog is a thread in C, which needs no lock. There is one in a process, so it watches the work that began first.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process


def begin() -> None:
    """Call this first in a worker process: its parent ends it, and no signal of a terminal does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


class Deadline:
    """Ends this process when a block within `watched`, in any thread, takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._ends: dict[int, float] = {}
        # faulthandler writes where every thread was; whoever reads the log has no use for it.
        self._nowhere = open(os.devnull, "w")  # noqa: PTH123, SIM115 - open as long as this process

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch a block."""
        number = next(self._numbers)
        with self._lock:
            self._ends[number] = time.monotonic() + self._seconds
            self._set()
        try:
            yield
        finally:
            with self._lock:
                del self._ends[number]
                self._set()

    def _set(self) -> None:
        if not self._ends:
            faulthandler.cancel_dump_traceback_later()
            return
        left = max(0.01, min(self._ends.values()) - time.monotonic())
        faulthandler.dump_traceback_later(left, exit=True, file=self._nowhere)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

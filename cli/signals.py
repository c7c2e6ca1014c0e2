"""Ctrl-C and SIGTERM: the first one asks a command to end in good order, the second one ends it at once."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.printing import stderr


def set_by_handler(event: threading.Event) -> None:
    """Set an event from the handler of a signal, in another thread.

    A handler runs in the main thread, between any two steps of it, also while that is inside a method of the event and
    has its lock: `Event.set` would then wait for ever for its own thread. It is no rare case: a child whose parent is
    killed gets a signal for each of the parent's threads, all at once.
    """
    # Without a lock of Python's, as `threading.Thread.start` has one.
    _thread.start_new_thread(event.set, ())


@contextmanager
def setting(stop: threading.Event, *, reported: bool = True) -> Iterator[None]:
    """Within the context, both set `stop`; once it is set, they raise KeyboardInterrupt. reported: a line says so."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        set_by_handler(stop)
        if reported:
            stderr.print("stopping: records in progress are finished first (again to stop at once)")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

"""Ctrl-C and SIGTERM: the first one asks a command to end in good order, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.printing import stderr


@contextmanager
def setting(stop: threading.Event, *, reported: bool = True) -> Iterator[None]:
    """Within the context, both set `stop`; once it is set, they raise KeyboardInterrupt. reported: a line says so."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if reported:
            stderr.print("stopping: records in progress are finished first (again to stop at once)")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

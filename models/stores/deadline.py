"""A call that ends in time, also where it hangs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class DeadlinePassed(Exception):
    """The time is up."""


class Deadline:
    """The time by which a fetch has to be done, and how far it is.

    received: how many bytes have come.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.received = 0
        self._answered = self._expired = False
        self._end = time.monotonic() + seconds
        self._at_expiry: list[Callable[[], object]] = []

    @property
    def remaining(self) -> float:
        """Seconds left, more than 0. Raises DeadlinePassed where none are."""
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise DeadlinePassed
        return remaining

    def at_expiry(self, unblock: Callable[[], object]) -> None:
        """Call this when the time is up, so that the call does not go on for nobody: closes a connection, say."""
        self._at_expiry.append(unblock)

    @property
    def answered(self) -> bool:
        """Whether the store began to deliver the scan while there was time."""
        return self._answered

    def answer(self) -> None:
        """Set `answered`, but not after the time is up: a connection that was closed then looks like an answer."""
        self._answered = self._answered or not self._expired

    def expire(self) -> None:
        """End what `at_expiry` was given."""
        self._end = 0.0
        self._expired = True
        for unblock in list(self._at_expiry):
            with contextlib.suppress(OSError):
                unblock()


class Guard:
    """Runs calls with a deadline, each in a thread of its own.

    A call that is stuck in the operating system (a network drive that hangs) cannot be ended. Its thread is left
    behind, and `hanging` counts such threads for each name.
    """

    def __init__(self) -> None:
        self._left_behind: dict[str, list[threading.Thread]] = {}

    def hanging(self, name: str) -> int:
        """How many calls of this name were left behind and still hang."""
        threads = [thread for thread in self._left_behind.get(name, ()) if thread.is_alive()]
        self._left_behind[name] = threads
        return len(threads)

    def within(self, deadline: Deadline, name: str, call: Callable[[], Result]) -> Result:
        """The result of `call`. Raises what it raises, DeadlinePassed and MemoryError."""
        future: Future[Result] = Future()
        thread = threading.Thread(target=_run, args=(future, call), name=f"fetch {name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # how Python reports that there is no memory for its stack
            raise MemoryError("no memory for a thread") from error
        try:
            return future.result(timeout=deadline.remaining)
        except TimeoutError as error:
            if future.done():
                return future.result()
            deadline.expire()
            self._left_behind.setdefault(name, []).append(thread)
            raise DeadlinePassed from error


def _run(future: Future[Result], call: Callable[[], Result]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
        future.set_exception(error)

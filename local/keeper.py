"""Keeps the embedded services running: each that ends is started again in place, at the same address.

Whoever is connected sees a service that is away for some seconds. One that ends again and again is given up.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from local.errors import KilledWhileStarting, LocalServiceError

if TYPE_CHECKING:
    # A process that shares services needs none of what starts them.
    from local.child import Child

# So often in a row may a service end shortly after its start, or not come up, before it is given up.
_ATTEMPTS = 5
# One that has answered for so long has started well.
_LASTING_S = 10.0
_LOOK_EVERY_S = 0.2
_STOPPED_WITHIN_S = 10.0
_LOOK_FOR_SPACE_S = 1.0
_LONGEST_PAUSE_S = 15.0
# A service is not started again with less space than this on its disk: it would end again, and may damage its files.
_SPACE_BYTES = 64 * 2**20
_FULL = re.compile("No space left on device|Disk quota exceeded")


class Service(Protocol):
    """A server that can be started again in its folder."""

    @property
    def name(self) -> str:
        """What it is called in a sentence."""

    @property
    def folder(self) -> Path:
        """Where its data is."""

    def is_broken(self, running: Child) -> bool:
        """Whether it runs, but will not do its work any more."""

    def start(self, ending: Callable[[], bool]) -> Child:
        """Start it at its address, after what a killed one has left, and wait until it answers or `ending` is true.

        Raises LocalServiceError if it does not come up.
        """


class Keeper(AbstractContextManager["Keeper"]):
    """Starts services and keeps them running until the end of the context, which stops them.

    report: is called, from threads of its own, with a line for a person whenever a service has ended and answers again.
    changed: is called, from the same threads, when not all services are up any more, and when they are again.
    """

    def __init__(self, report: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self._report = report
        self._changed = changed
        self._ending = threading.Event()
        self._kept: list[_Kept] = []
        self._failure: LocalServiceError | None = None

    def start(self, service: Service) -> None:
        """Start a service. Enter from a thread that runs as long as the keeper, see `local.child.start`.

        Raises LocalServiceError if it does not come up.
        """
        kept = _Kept(service, self._begun(service), self)
        self._kept.append(kept)
        kept.thread.start()

    def _begun(self, service: Service) -> Child:
        for _ in range(_ATTEMPTS):
            try:
                return service.start(self._ending.is_set)
            except KilledWhileStarting as error:
                self._report(f"{error}: it is started again")
        return service.start(self._ending.is_set)

    @property
    def keeps(self) -> bool:
        """Whether there is any service to keep: none where the settings name them, or another process runs them."""
        return bool(self._kept)

    @property
    def is_up(self) -> bool:
        """Whether all services run, as far as is known."""
        return all(kept.is_up for kept in self._kept)

    @property
    def restarts(self) -> int:
        """How often a service has ended so far."""
        return sum(kept.ended for kept in self._kept)

    @property
    def has_failed(self) -> bool:
        """Whether a service was given up."""
        return self._failure is not None

    def check(self) -> None:
        """Raise LocalServiceError if a service was given up."""
        if self._failure is not None:
            raise self._failure

    def progressed(self) -> None:
        """What uses the services has done something: they do more than fail again and again."""
        for kept in self._kept:
            kept.failures = 0

    def _give_up(self, failure: LocalServiceError) -> None:
        self._failure = failure
        # A process that runs until it is asked to stop is asked. Others fail with what they do.
        if callable(signal.getsignal(signal.SIGTERM)):
            os.kill(os.getpid(), signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        for kept in reversed(self._kept):
            kept.thread.join()
            kept.running.stop()


class _Kept:
    """One service, and the thread that looks after it."""

    def __init__(self, service: Service, running: Child, keeper: Keeper) -> None:
        self.service = service
        self.running = running
        self.is_up = True
        self.ended = 0
        self.failures = 0
        self._keeper = keeper
        self._up_since = time.monotonic()
        self.thread = threading.Thread(target=self._run, name=f"keeper of {service.name}", daemon=True)

    def _run(self) -> None:
        # What this thread has started is stopped by the kernel when the thread ends, and that is when all end.
        try:
            while not self._keeper._ending.wait(_LOOK_EVERY_S):
                if self.running.process.poll() is None and self.service.is_broken(self.running):
                    self.running.stop(within=_STOPPED_WITHIN_S)
                if self.running.process.poll() is not None and not self._restarted():
                    return
        except OSError as error:
            # Such as a data folder that was removed.
            self._keeper._give_up(LocalServiceError(f"{self.service.name} cannot be kept running: {error}"))

    def _restarted(self) -> bool:
        """Start the service again; False where it was given up, or the keeper ends."""
        ended_at = time.monotonic()
        if ended_at - self._up_since > _LASTING_S:
            self.failures = 0
        reason = self.running.last_error
        self._set_up(False)
        self._keeper._report(f"{self.service.name} {self.running.how_it_ended}: it is started again")
        while self.failures < _ATTEMPTS and not self._keeper._ending.is_set():
            self._wait_for_space()
            self.failures += 1
            try:
                self.running = self.service.start(self._keeper._ending.is_set)
            except LocalServiceError as error:
                reason = str(error)
                self._keeper._ending.wait(min(2.0**self.failures, _LONGEST_PAUSE_S))
                # What is full for this user alone, as by a quota, is not seen before.
                self.failures -= bool(_FULL.search(reason))
                continue
            if not self._keeper._ending.is_set():
                self._keeper._report(f"{self.service.name} answers again, after {time.monotonic() - ended_at:.0f} s")
                self._set_up(True)
            return not self._keeper._ending.is_set()
        if not self._keeper._ending.is_set():
            self._keeper._give_up(LocalServiceError(f"{self.service.name} ends again and again: {reason}"))
        return False

    def _wait_for_space(self) -> None:
        is_reported = False
        while not self._keeper._ending.is_set() and shutil.disk_usage(self.service.folder).free < _SPACE_BYTES:
            if not is_reported:
                space = f"{_SPACE_BYTES // 2**20} MB on the disk of {self.service.folder}"
                self._keeper._report(f"the disk is full: {self.service.name} waits for {space}")
                is_reported = True
            self._keeper._ending.wait(_LOOK_FOR_SPACE_S)

    def _set_up(self, up: bool) -> None:
        self.is_up = up
        self.ended += not up
        if up:
            self._up_since = time.monotonic()
        self._keeper._changed()

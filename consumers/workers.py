"""The processes that analyse scans, each with the networks loaded once.

Processes, because dlib's Python calls hold the interpreter lock while they compute, and because a picture that brings
its process down (out of memory, say) must not bring the consumer down.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Self

from models.analyse import Engine, EngineParameters, analyse_scan, load_engine
from models.fetching import Unavailable, UnknownStore, fetch
from models.images import UnreadableImage, decode
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from stream.errors import Fatal


@dataclass(frozen=True)
class Unusable:
    """A scan that cannot be analysed, and why."""

    reason: str


class Workers:
    """A pool of analysing processes. Use it as a context: they end with it, and with this process however it ends."""

    def __init__(self, parameters: EngineParameters, processes: int) -> None:
        self._parameters = parameters
        self._processes = processes
        self._pool = self._start()

    def analyse(self, scans: Sequence[ScanPublished]) -> list[ScanAnalysed | Unusable]:
        """Analyse scans: an outcome for each, in their order."""
        futures = [self._pool.submit(_analyse, scan) for scan in scans]
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool:
            # One of them brought its process down. Alone, each shows whether it was the one.
            return [self._analyse_alone(scan) for scan in scans]

    def _analyse_alone(self, scan: ScanPublished) -> ScanAnalysed | Unusable:
        self._restart()
        try:
            return self._pool.submit(_analyse, scan).result()
        except BrokenProcessPool:
            self._restart()
            return Unusable(f"analysing {scan.uri} ended its process, most likely for want of memory")

    def _restart(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()
        try:
            self._pool.submit(_ready).result()
        except BrokenProcessPool as error:
            # Without this, a faulty installation would turn every scan into a dead letter.
            raise Fatal("the analysing processes do not start, the reason stands above") from error

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, get_context("spawn"), _load, (self._parameters,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


_engine: Engine | None = None


def _load(parameters: EngineParameters) -> None:
    """Prepare a worker process."""
    global _engine
    # The consumer ends its workers itself, when the batch is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _engine = load_engine(parameters)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ready() -> None:
    """Does nothing: that it is done says that the process is prepared."""


def _analyse(scan: ScanPublished) -> ScanAnalysed | Unusable:
    if _engine is None:
        raise RuntimeError("a worker process was not prepared")
    try:
        data = fetch(scan.uri)
        digest = hashlib.sha256(data).hexdigest()
        if digest != scan.sha256:
            return Unusable(f"{scan.uri} has the sha256 {digest}, the scan was published with {scan.sha256}")
        return analyse_scan(_engine, scan, decode(data, scan.page))
    except (Unavailable, UnknownStore, UnreadableImage) as error:
        return Unusable(str(error))

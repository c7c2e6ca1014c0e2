"""The processes that analyse scans, each with the networks loaded once.

Processes, because dlib's Python calls hold the interpreter lock while they compute, and because an image that ends its
process (out of memory, say) must not end the consumer. An accelerator is fed from one process by several worker
threads: while the networks compute for one of them, the others fetch and decode, resize, and cut out faces.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from errors import Fatal
from models.analyse import Engine, EngineParameters, analyse_scans, load_engine
from models.embed_again import ScanWithFaces, embed_again, misfit
from models.images import RgbImage, UnreadableImage
from models.onnx_session import EngineError, NetworkFailed
from models.profiling import DECODING, READING, REST, StageClock, timed
from models.scan_image import scan_image
from models.stores.errors import Cause, StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from models.weights import WeightsError
from models.worker_process import Deadline, begin
from schemas import defaults
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.uris import without_credentials
from telemetry import metrics
from telemetry.health import health

# Tasks for each process in a batch, so that a process with small scans takes over work from one with large scans.
_TASKS = 2
# Failures after which the processes are restarted.
_FAILURES = (BrokenProcessPool, NetworkFailed, MemoryError)
# That of a scan without faces, where only these are looked at.
_NO_PICTURE: RgbImage = np.zeros((1, 1, 3), dtype=np.uint8)
# A fetch that failed after so many seconds is not repeated with the next scan of its store.
_SLOW_S = 2.0
_TURN_EVERY_S = 1.0


@dataclass(frozen=True)
class Unusable:
    """A scan that cannot be analysed, and why."""

    reason: str


@dataclass(frozen=True)
class Unreached:
    """A scan that its store did not deliver now, see `models.stores.errors.StoreUnavailable`."""

    store: str
    reason: str
    cause: Cause
    tried: bool


Outcome = ScanAnalysed | Unusable | Unreached

AnyScan = TypeVar("AnyScan", bound=ScanPublished)


@dataclass(frozen=True)
class Done:
    """What a worker process has done: an outcome for each scan, and the stage and the seconds of each part of it."""

    outcomes: list[Outcome]
    blocks: list[tuple[str, float]]


class Workers:
    """A pool of analysing processes. Use it as a context: they end with it, and with this process however it ends.

    `threads` is the number of worker threads in each process, each of which analyses scans. A process in which an image
    is not decoded within `decode_deadline_s` seconds is ended. Entering raises errors.Fatal where the networks cannot
    be loaded.
    """

    def __init__(
        self,
        parameters: EngineParameters,
        processes: int,
        threads: int = 1,
        stores: StoreParameters | None = None,
        decode_deadline_s: float = defaults.DECODE_DEADLINE_S,
    ) -> None:
        self._parameters = parameters
        self._stores = stores or StoreParameters()
        self._decode_deadline_s = decode_deadline_s
        self._processes = processes
        self._threads = threads
        self._pool = self._start()

    def analyse(self, scans: Sequence[ScanPublished]) -> list[Outcome]:
        """Analyse scans: an outcome for each, in their order."""
        shares = _split(scans, self._processes * (1 if self._threads > 1 else _TASKS))
        try:
            futures = [self._pool.submit(_analyse_in_threads, share, self._threads) for share in shares]
            done = [future.result() for future in futures]
        except Exception as failure:  # noqa: BLE001 - whatever it is, each scan shows whether it is the cause
            self._recover(failure)
            return [self._analyse_alone(scan) for scan in scans]
        return [outcome for one in done for outcome in _counted(one)]

    def _analyse_alone(self, scan: ScanPublished) -> Outcome:
        began = time.monotonic()
        try:
            return _counted(self._pool.submit(_analyse, [scan]).result())[0]
        except Exception as failure:  # noqa: BLE001 - an error that nobody foresaw is a dead letter as well
            self._recover(failure)
            reason = self._reason(failure, time.monotonic() - began)
            return Unusable(f"analysing {without_credentials(scan.uri)} {reason}")

    def _reason(self, failure: Exception, seconds: float) -> str:
        if isinstance(failure, BrokenProcessPool):
            if seconds >= self._decode_deadline_s:
                return f"was stopped: the image was not decoded within {self._decode_deadline_s:g} seconds"
            return "ended its process, most likely for want of memory"
        if isinstance(failure, (NetworkFailed, MemoryError)):
            return f"failed ({failure}), most likely for want of memory"
        return f"failed twice ({type(failure).__name__}: {failure})"

    def _recover(self, failure: Exception) -> None:
        """New processes, where the old ones ended or may have little memory left."""
        if isinstance(failure, _FAILURES):
            self._restart()

    def _restart(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()
        self._await_ready()

    def _await_ready(self) -> None:
        """Raise Fatal where the networks cannot be loaded: otherwise every scan would become a dead letter."""
        try:
            ready = self._pool.submit(_ready)
            while wait([ready], _TURN_EVERY_S).not_done:
                # On an accelerator the networks may be made for it first, which takes minutes.
                health.turned()
            ready.result()
        except (WeightsError, EngineError) as error:
            raise Fatal(str(error)) from error
        except BrokenProcessPool as error:
            raise Fatal("the analysing processes do not start, the reason is printed above") from error

    def _start(self) -> ProcessPoolExecutor:
        arguments = (self._parameters, self._stores, self._decode_deadline_s)
        return ProcessPoolExecutor(self._processes, get_context("spawn"), _load, arguments)

    def __enter__(self) -> Self:
        try:
            self._await_ready()
        except Fatal:
            self._pool.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _counted(done: Done) -> list[Outcome]:
    """The outcomes, once the metrics of this process have what the worker process has measured."""
    for stage, seconds in done.blocks:
        metrics.stage_seconds.labels(stage).observe(seconds)
    return done.outcomes


def _split(scans: Sequence[ScanPublished], shares: int) -> list[Sequence[ScanPublished]]:
    """The scans in at most so many shares of one size, in their order."""
    size = math.ceil(len(scans) / shares)
    return [scans[start : start + size] for start in range(0, len(scans), max(1, size))]


_engine: Engine | WeightsError | EngineError | None = None
_stores = Stores(StoreParameters())
_deadline: Deadline | None = None


def _load(parameters: EngineParameters, stores: StoreParameters, decode_deadline_s: float) -> None:
    """Load the networks: the initializer of each worker process."""
    global _engine, _stores, _deadline
    _stores = Stores(stores)
    _deadline = Deadline(decode_deadline_s)
    # The consumer ends its workers itself, when the batch is done.
    begin()
    try:
        _engine = load_engine(parameters)
    except (WeightsError, EngineError) as error:
        # Raised by `_loaded`: a pool only prints what an initializer raises.
        _engine = error


def _ready() -> None:
    """Returns once this process has loaded the networks. Raises WeightsError and EngineError."""
    _loaded()


def _loaded() -> Engine:
    if _engine is None:
        raise RuntimeError("a worker process was not initialized")
    if isinstance(_engine, Exception):
        raise _engine
    return _engine


def _analyse_in_threads(scans: Sequence[ScanPublished], threads: int) -> Done:
    """An outcome for each scan. A thread takes as many scans at once as the detector computes together."""
    if threads == 1:
        return _analyse(scans)
    groups = _split(scans, max(threads, math.ceil(len(scans) / _loaded().detector.batch_size)))
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(_analyse, groups))
    return Done([it for one in done for it in one.outcomes], [it for one in done for it in one.blocks])


def _analyse(scans: Sequence[ScanPublished]) -> Done:
    """An outcome for each scan; all their faces are embedded together.

    Where all scans come with their faces, these alone are embedded again.
    """
    clock = StageClock()
    engine = timed(_loaded(), clock)
    patient = _PatientOnce(_stores)
    failed: dict[int, Unusable | Unreached] = {}
    with_faces = [scan for scan in scans if isinstance(scan, ScanWithFaces)]

    def fetch(uri: str) -> bytes:
        with clock.stage(READING):
            return patient(uri)

    def readable(scans: Sequence[AnyScan]) -> Iterator[tuple[AnyScan, RgbImage]]:
        for number, scan in enumerate(scans):
            if isinstance(scan, ScanWithFaces) and (reason := misfit(engine, scan)):
                failed[number] = Unusable(reason)
                continue
            if isinstance(scan, ScanWithFaces) and not scan.analysis.faces:
                yield scan, _NO_PICTURE
                continue
            try:
                with clock.stage(DECODING):
                    image = scan_image(scan.uri, scan.sha256, scan.page, fetch, _deadline)
            except (UnavailableImage, UnreadableImage) as error:
                failed[number] = Unusable(str(error))
            except StoreUnavailable as error:
                failed[number] = Unreached(error.store, error.reason, error.cause, error.tried)
            else:
                yield scan, image

    # Both read all of `readable` before they return, so `failed` is complete here.
    with clock.stage(REST):
        if len(with_faces) == len(scans):
            analysed = iter(embed_again(engine, readable(with_faces)))
        else:
            analysed = iter(analyse_scans(engine, readable(scans)))
    return Done([failed.get(number) or next(analysed) for number in range(len(scans))], clock.blocks)


class _PatientOnce:
    """Fetches the scans of one task. A store that made it wait once is left alone until the task is done.

    So that many scans of a store that hangs delay the others no longer than one does.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._left_alone: dict[str, StoreUnavailable] = {}

    def __call__(self, uri: str) -> bytes:
        store = self._stores.store_of(uri)
        if earlier := self._left_alone.get(store):
            raise StoreUnavailable(store, earlier.reason, earlier.cause, tried=False)
        started = time.monotonic()
        try:
            return self._stores.fetch(uri)
        except StoreUnavailable as error:
            if error.cause == "store" or time.monotonic() - started > _SLOW_S:
                self._left_alone[store] = error
            raise

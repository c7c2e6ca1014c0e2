"""Pictures of faces and scans, made on demand by worker processes, and kept on disk.

A scan may have 500 megapixels, and a file may be anything, so nothing is decoded in the server: a process that takes
too long, or more memory than there is, ends, and is replaced. One decoding makes all faces of a scan, in all sizes.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from catalogue.pictures import FaceOnScan, ScanFile
from models.stores.parameters import StoreParameters
from settings import Settings
from web.crops_cache import PictureCache
from web.crops_cutting import Cut, NoPicture, Source, Trouble, cut, face_side, let_go, start

FACE_SIZES = (96, 192, 384, 768)
"""The sizes of faces: the side of a square in pixels. A face with fewer pixels is not scaled up."""

SCAN_SIZES = (400, 800, 1600, 3200)
"""The sizes of scans: the longer side in pixels. A smaller scan is not scaled up."""

FOLDER = "crops"
"""The name of the folder in the data folder that the pictures are kept in."""

# A picture is decoded within so many seconds, or not at all: somebody is waiting.
_DECODE_DEADLINE_S = 60.0
# Scans that are worked on at once. Each may need gigabytes.
_PROCESSES = 2
# Scans that wait to be worked on; more are refused until some are done.
_MOST_WAITING = 500
# For so many seconds a scan without a picture is not tried again.
_TRIED_AGAIN_S: Mapping[Trouble, float] = {"unreachable": 20.0, "gone": 60.0, "changed": 60.0, "unreadable": 600.0}
_MOST_TROUBLES = 10_000
# Raised when pictures of the same scan look different: what is kept on disk is made again.
_VERSION = "1"


@dataclass
class _Job:
    """A scan to be decoded, and what is wanted from it: pictures by name."""

    source: Source
    wanted: dict[str, Cut] = field(default_factory=dict)
    done: asyncio.Future[Mapping[str, bytes] | NoPicture] = field(default_factory=asyncio.Future)


class _Worker:
    """A process that cuts pictures, and is replaced when it ends."""

    def __init__(self, stores: StoreParameters, decode_deadline_s: float) -> None:
        self._arguments = (stores, decode_deadline_s)
        self._decode_deadline_s = decode_deadline_s
        self._pool = self._start()

    async def cut(self, source: Source, wanted: Mapping[str, Cut]) -> Mapping[str, bytes] | NoPicture:
        """`crops_cutting.cut` in the process. Where that ends it, this is why there is no picture."""
        for _ in range(2):
            started = time.monotonic()
            try:
                return await asyncio.wrap_future(self._pool.submit(cut, source, wanted))
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = self._start()
                if time.monotonic() - started >= self._decode_deadline_s:
                    reason = f"the image was not decoded within {self._decode_deadline_s:g} seconds"
                    return NoPicture("unreadable", reason)
                # The process may have been ended for something else: once more.
            except Exception as error:  # noqa: BLE001 - a picture less; the desk goes on
                return NoPicture("unreadable", f"cutting it failed ({type(error).__name__})")
        return NoPicture("unreadable", "reading the image ended its process, most likely for want of memory")

    async def let_go(self) -> None:
        """Free the memory of the last image."""
        with suppress(BrokenProcessPool):  # then it is free
            await asyncio.wrap_future(self._pool.submit(let_go))

    def end(self) -> None:
        """End the process at once, also while it decodes."""
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, get_context("spawn"), start, self._arguments)
        # So that it has loaded the decoders before it is needed.
        pool.submit(let_go)
        return pool


class Crops:
    """Makes and keeps pictures. Use it as an asynchronous context: its processes end with it."""

    def __init__(self, settings: Settings, decode_deadline_s: float = _DECODE_DEADLINE_S) -> None:
        self._stores = StoreParameters.of(settings.stores.model_dump(), settings.data)
        self._decode_deadline_s = decode_deadline_s
        self._cache = PictureCache(settings.data / FOLDER, settings.desk.crops_bytes)
        self._waiting: asyncio.Queue[Source] = asyncio.Queue()
        self._jobs: dict[Source, _Job] = {}
        self._running: dict[Source, _Job] = {}
        self._troubles: OrderedDict[Source, tuple[float, NoPicture]] = OrderedDict()
        self._by_scan: OrderedDict[str, Source] = OrderedDict()
        self._loops: list[asyncio.Task[None]] = []

    async def face(self, scan: ScanFile, face: FaceOnScan, size: int) -> bytes | NoPicture:
        """A face of the scan, as a JPEG. `size` is one of FACE_SIZES."""
        wanted = {
            self.face_name(scan, one, step): Cut(step, one.box, one.turn, one.negative)
            for one in scan.faces
            for step in FACE_SIZES[: FACE_SIZES.index(_face_size(scan, one, FACE_SIZES[-1])) + 1]
        }
        source = Source(scan.uri, scan.analysed_sha256 or scan.sha256, scan.page)
        return await self._picture(scan.scan_id, source, self.face_name(scan, face, size), wanted)

    async def scan(self, scan: ScanFile, size: int) -> bytes | NoPicture:
        """A whole scan, as a JPEG. `size` is one of SCAN_SIZES."""
        wanted = {self.scan_name(scan, step): Cut(_scan_size(scan, step)) for step in SCAN_SIZES}
        source = Source(scan.uri, scan.sha256, scan.page)
        return await self._picture(scan.scan_id, source, self.scan_name(scan, size), wanted)

    def face_name(self, scan: ScanFile, face: FaceOnScan, size: int) -> str:
        """What a picture is kept under: another one has another name, so that it is an ETag too."""
        cut = (face.box, face.turn, face.negative, _face_size(scan, face, size))
        return _name(scan.scan_id, scan.analysed_sha256 or scan.sha256, scan.page, *cut)

    def scan_name(self, scan: ScanFile, size: int) -> str:
        """The same of a whole scan."""
        return _name(scan.scan_id, scan.sha256, scan.page, _scan_size(scan, size))

    def trouble(self, scan_id: str) -> Trouble | None:
        """Why the last attempt gave no picture of a scan; None where it did, or it was not tried lately."""
        source = self._by_scan.get(scan_id)
        found = self._remembered(source) if source else None
        return found.trouble if found else None

    async def _picture(self, scan_id: str, source: Source, name: str, wanted: Mapping[str, Cut]) -> bytes | NoPicture:
        if kept := await asyncio.to_thread(self._cache.get, name):
            return kept
        # It may have been made while this looked.
        if name in self._cache and (kept := await asyncio.to_thread(self._cache.get, name)):
            return kept
        if trouble := self._remembered(source):
            return trouble
        running = self._running.get(source)
        if running is None or name not in running.wanted:
            running = self._enqueued(source, wanted)
        if running is None:
            return NoPicture("busy", "too many pictures are being made, try again soon")
        # Whoever else waits for the same scan still does when this request is given up.
        made = await asyncio.shield(running.done)
        if isinstance(made, NoPicture):
            self._by_scan[scan_id] = source
            _forget_oldest(self._by_scan)
            return made
        return made[name]

    def _enqueued(self, source: Source, wanted: Mapping[str, Cut]) -> _Job | None:
        """The waiting job of a scan with these pictures added; None where too many wait."""
        job = self._jobs.get(source)
        if job is None:
            if len(self._jobs) >= _MOST_WAITING:
                return None
            job = self._jobs[source] = _Job(source)
            # The loop that works on the scan now goes on with it: it has the image.
            if source not in self._running:
                self._waiting.put_nowait(source)
        job.wanted |= wanted
        return job

    async def _work(self) -> None:
        """Work on one scan after the other, in a process of this loop's own."""
        worker = _Worker(self._stores, self._decode_deadline_s)
        try:
            while True:
                source = await self._waiting.get()
                while source in self._jobs:
                    job = self._running[source] = self._jobs.pop(source)
                    made = await worker.cut(source, job.wanted)
                    if isinstance(made, NoPicture):
                        self._remember(source, made)
                    else:
                        await asyncio.to_thread(self._cache.put, made)
                    del self._running[source]
                    job.done.set_result(made)
                await worker.let_go()
        finally:
            worker.end()

    def _remember(self, source: Source, found: NoPicture) -> None:
        until = time.monotonic() + _TRIED_AGAIN_S.get(found.trouble, 0.0)
        self._troubles[source] = (until, found)
        self._troubles.move_to_end(source)
        _forget_oldest(self._troubles)

    def _remembered(self, source: Source) -> NoPicture | None:
        until, found = self._troubles.get(source, (0.0, None))
        return found if time.monotonic() < until else None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._cache.open)
        self._loops = [asyncio.create_task(self._work()) for _ in range(_PROCESSES)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for job in (*self._jobs.values(), *self._running.values()):
            job.done.cancel()


def _face_size(scan: ScanFile, face: FaceOnScan, size: int) -> int:
    """The size that a face is cut in: the smallest that all its pixels fit in, where that is below `size`."""
    if scan.width is None or scan.height is None:
        return size
    return _smallest(FACE_SIZES, face_side(face.box, scan.width, scan.height), size)


def _scan_size(scan: ScanFile, size: int) -> int:
    return size if scan.width is None else _smallest(SCAN_SIZES, max(scan.width, scan.height or 0), size)


def _smallest(sizes: tuple[int, ...], pixels: int, size: int) -> int:
    return min([size, *(one for one in sizes if one >= pixels)])


def _name(scan_id: str, *what: object) -> str:
    # A folder for each scan, so that all its pictures are found by its id.
    folder = hashlib.sha256(scan_id.encode(errors="surrogatepass")).hexdigest()[:32]
    name = hashlib.sha256(repr((_VERSION, *what)).encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{folder[:2]}/{folder}/{name}"


def _forget_oldest(remembered: OrderedDict[str, Source] | OrderedDict[Source, tuple[float, NoPicture]]) -> None:
    while len(remembered) > _MOST_TROUBLES:
        remembered.popitem(last=False)

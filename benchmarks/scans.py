"""Whole scans through the analysis: where the time goes, how to share the cores, and what memory does over many sizes.

`python -m benchmarks.scans FOLDER` analyses the photographs of a folder, as the detect consumer's workers do.
`--memory N` detects on N pictures of 200 sizes instead and prints the memory that the process holds on the way.
`--large N` analyses one scan of N megapixels.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from consumers.workers import Unusable, Workers
from models import planes
from models.analyse import EngineParameters, analyse_scans, load_engine
from models.fetching import fetch
from models.images import decode
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from schemas.scans import ScanPublished

_SIZES = 200
# Scans that a worker analyses together when there is much to do.
_TOGETHER = 4
_ROUNDS = 3


@dataclass(frozen=True)
class Share:
    """CPU time of one part of the analysis of a scan, on one thread."""

    part: str
    ms_a_scan: float
    percent: float


@dataclass(frozen=True)
class Split:
    """Scans analysed a second, the median of a few rounds taken in turns."""

    processes: int
    threads_each: int
    scans_per_s: float


@dataclass(frozen=True)
class Memory:
    """What the process held after so many pictures."""

    pictures: int
    resident_mib: float


@dataclass(frozen=True)
class Peak:
    """The most the process held up to this scan, doubled once for detection."""

    megapixels: float
    peak_mib: float


def shares(scans: Sequence[ScanPublished], upsample: int) -> Iterator[Share]:
    """Where the time of an analysis goes."""
    seconds: defaultdict[str, float] = defaultdict(float)
    engine = load_engine(EngineParameters(provider="cpu", threads=1, upsample=upsample))
    detector, embedder = engine.detector, engine.embedder
    if not isinstance(detector, OnnxDetector) or not isinstance(embedder, OnnxEmbedder):
        raise TypeError("the ONNX engine is what is measured here")
    parts: list[tuple[object, str, str]] = [
        (detector, "_network", "detector network"),
        (embedder, "_network", "embedder network"),
        (detector, "_resizer", "pyramid: resizing"),
        (detector, "_part_resizer", "pyramid: resizing"),
        (planes, "tile", "pyramid: tiling"),
        (engine.predictor, "align", "landmarks and chips"),
    ]
    for owner, name, part in parts:
        setattr(owner, name, _Timed(getattr(owner, name), part, seconds))
    whole: defaultdict[str, float] = defaultdict(float)
    read = _Timed(lambda scan: decode(fetch(scan.uri)), "reading and decoding", seconds)
    analyse = _Timed(lambda group: analyse_scans(engine, ((scan, read(scan)) for scan in group)), "all", whole)
    for start in range(0, len(scans), _TOGETHER):
        analyse(scans[start : start + _TOGETHER])
    seconds["everything else"] = whole["all"] - sum(seconds.values())
    for part, spent in sorted(seconds.items(), key=lambda it: -it[1]):
        yield Share(part, spent / len(scans) * 1000, spent / whole["all"] * 100)


class _Timed:
    """Anything that is called, or run, with the time it takes added up."""

    def __init__(self, timed: Any, part: str, seconds: dict[str, float]) -> None:  # noqa: ANN401
        self._timed, self._part, self._seconds = timed, part, seconds

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        return self._time(self._timed, arguments)

    def run(self, *arguments: Any) -> Any:  # noqa: ANN401
        return self._time(self._timed.run, arguments)

    def _time(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
        began = time.process_time()
        try:
            return call(*arguments)
        finally:
            self._seconds[self._part] += time.process_time() - began


def splits(scans: Sequence[ScanPublished], upsample: int) -> Iterator[Split]:
    """All cores in one process, in as many processes, and in between."""
    cores = os.cpu_count() or 1
    ways = [(it, cores // it) for it in range(1, cores + 1) if cores % it == 0]
    speeds: dict[tuple[int, int], list[float]] = {way: [] for way in ways}
    with ExitStack() as stack:
        pools = {}
        for processes, threads in ways:
            parameters = EngineParameters(provider="cpu", threads=threads, upsample=upsample)
            pools[processes, threads] = stack.enter_context(Workers(parameters, processes))
        for pool in pools.values():
            _analyse(pool, scans[: 2 * cores], cores)
        for _ in range(_ROUNDS):
            for way, pool in pools.items():
                began = time.perf_counter()
                _analyse(pool, scans, way[0])
                speeds[way].append(len(scans) / (time.perf_counter() - began))
    for (processes, threads), measured in speeds.items():
        yield Split(processes, threads, float(np.median(measured)))


def _analyse(pool: Workers, scans: Sequence[ScanPublished], processes: int) -> None:
    batch = 2 * _TOGETHER * processes
    for start in range(0, len(scans), batch):
        for outcome in pool.analyse(scans[start : start + batch]):
            if isinstance(outcome, Unusable):
                raise SystemExit(f"benchmarks.scans: {outcome.reason}")


def memory(pictures: int) -> Iterator[Memory]:
    """Detect and embed on pictures of 200 sizes; what is held, ten times on the way."""
    engine = load_engine(EngineParameters(provider="cpu", threads=1))
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (450, 450, 3), dtype=np.uint8)
    sizes = generator.integers(100, 450, (_SIZES, 2))
    for number in range(1, pictures + 1):
        height, width = sizes[generator.integers(_SIZES)]
        engine.detector.detect([np.ascontiguousarray(noise[:height, :width])], 0)
        if number % 10 == 0:
            engine.embedder.embed([noise[:150, :150]] * int(generator.integers(1, 20)))
        if number % (pictures // 10) == 0:
            yield Memory(number, psutil.Process().memory_info().rss / 2**20)


def large(megapixels: int) -> Iterator[Peak]:
    """What a small scan and then one of so many megapixels raise the process's peak to."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        files = [pool.submit(_jpeg, side).result() for side in (500, round((megapixels * 1e6) ** 0.5))]
    engine = load_engine(EngineParameters(provider="cpu", threads=1))
    scan = ScanPublished(
        scan_id="benchmark/large",
        uri="file:///large",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection="benchmark",
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    for file in files:
        (analysed,) = analyse_scans(engine, [(scan, decode(file))])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield Peak(analysed.width * analysed.height / 1e6, peak / (2**20 if sys.platform == "darwin" else 2**10))


def _jpeg(side: int) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def scans_of(folder: Path, limit: int) -> list[ScanPublished]:
    """The photographs of a folder as scans, or `limit` evenly chosen ones."""
    paths = sorted(it for it in folder.rglob("*") if it.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return [
        ScanPublished(
            scan_id=f"benchmark/{number}",
            uri=path.resolve().as_uri(),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            media_type="image/jpeg",
            collection="benchmark",
            published_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for number, path in enumerate(paths[:: max(1, len(paths) // limit)][:limit])
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="photographs")
    parser.add_argument("--limit", type=int, default=30, help="at most this many, evenly chosen (default: 30)")
    parser.add_argument("--upsample", type=int, default=1, help="doublings before detection (default: 1)")
    parser.add_argument("--memory", type=int, metavar="N", help="memory over N pictures instead")
    parser.add_argument("--large", type=int, metavar="N", help="peak memory for a scan of N megapixels instead")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    if arguments.memory:
        _print(memory(arguments.memory), arguments.json)
    elif arguments.large:
        _print(large(arguments.large), arguments.json)
    elif arguments.folder is None:
        parser.error("a folder of photographs, --memory N or --large N")
    else:
        scans = scans_of(arguments.folder, arguments.limit)
        if not scans:
            parser.error(f"no photographs in {arguments.folder}")
        _print(shares(scans, arguments.upsample), arguments.json)
        _print(splits(scans, arguments.upsample), arguments.json)


def _print(rows: Iterator[Share | Split | Memory | Peak], as_json: bool) -> None:
    table: Table | None = None
    for row in rows:
        if as_json:
            print(json.dumps(asdict(row)), flush=True)
            continue
        table = table or Table(*(name.replace("_", " ") for name in asdict(row)))
        table.add_row(*(f"{value:,.1f}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    if table is not None:
        Console().print(table)


if __name__ == "__main__":
    main()

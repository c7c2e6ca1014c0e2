"""The analysis of whole scans: its time by step, the best use of the cores, and the memory over many picture sizes.

`python -m benchmarks.scans FOLDER` analyses the photographs of a folder, as the detect consumer's workers do.
`--memory N` detects on N pictures of 200 sizes instead, and prints the memory of the process ten times meanwhile.
`--large N` analyses one scan of N megapixels.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
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

from benchmarks.measurement import peak_mib
from benchmarks.photographs import photographs
from consumers.workers import Unusable, Workers
from models import planes
from models.analyse import EngineParameters, analyse_scans, load_engine
from models.formats import MEDIA_TYPES
from models.images import decode
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from schemas.defaults import UPSAMPLE
from schemas.scans import ScanPublished

_SIZES = 200
# Scans that a worker analyses together when many are waiting.
_ANYWHERE = StoreParameters(roots=(Path("/"),))
_TOGETHER = 4
_ROUNDS = 3


@dataclass(frozen=True)
class Share:
    """Processor time of one step of the analysis of a scan, on one thread."""

    part: str
    ms_a_scan: float
    percent: float


@dataclass(frozen=True)
class Split:
    """Scans analysed per second, with the cores divided like this; the median of a few rounds in turns."""

    processes: int
    threads_each: int
    scans_per_s: float


@dataclass(frozen=True)
class Memory:
    """The memory of the process after so many pictures."""

    pictures: int
    resident_mib: float


@dataclass(frozen=True)
class Peak:
    """The peak memory of the process after this scan, which is doubled once for detection."""

    megapixels: float
    peak_mib: float


def shares(scans: Sequence[ScanPublished], upsample: int) -> Iterator[Share]:
    """The processor time of an analysis by step."""
    seconds: defaultdict[str, float] = defaultdict(float)
    engine = load_engine(EngineParameters(provider="cpu", threads=1, upsample=upsample))
    detector, embedder = engine.detector, engine.embedder
    if not isinstance(detector, OnnxDetector) or not isinstance(embedder, OnnxEmbedder):
        raise TypeError("only the ONNX engine can be measured")
    timed_calls: list[tuple[object, str, str]] = [
        (detector, "_network", "detector network"),
        (embedder, "_network", "embedder network"),
        (detector, "_resizer", "pyramid: resizing"),
        (detector, "_part_resizer", "pyramid: resizing"),
        (planes, "tile", "pyramid: tiling"),
        (engine.predictor, "align", "landmarks and chips"),
    ]
    for owner, name, part in timed_calls:
        setattr(owner, name, _Timed(getattr(owner, name), part, seconds))
    total: defaultdict[str, float] = defaultdict(float)
    stores = Stores(_ANYWHERE)
    read = _Timed(lambda scan: decode(stores.fetch(scan.uri)), "reading and decoding", seconds)
    analyse = _Timed(lambda group: analyse_scans(engine, ((scan, read(scan)) for scan in group)), "all", total)
    for start in range(0, len(scans), _TOGETHER):
        analyse(scans[start : start + _TOGETHER])
    seconds["everything else"] = total["all"] - sum(seconds.values())
    for part, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        yield Share(part, spent / len(scans) * 1000, spent / total["all"] * 100)


class _Timed:
    """A function or an ONNX session whose processor time is added to `seconds[part]`."""

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
    """One process with all cores as threads, as many processes as cores, and what is between."""
    cores = os.cpu_count() or 1
    layouts = [(processes, cores // processes) for processes in range(1, cores + 1) if cores % processes == 0]
    speeds: dict[tuple[int, int], list[float]] = {layout: [] for layout in layouts}
    with ExitStack() as stack:
        pools = {}
        for processes, threads in layouts:
            parameters = EngineParameters(provider="cpu", threads=threads, upsample=upsample)
            pools[processes, threads] = stack.enter_context(Workers(parameters, processes, stores=_ANYWHERE))
        for pool in pools.values():
            _analyse(pool, scans[: 2 * cores], cores)
        for _ in range(_ROUNDS):
            for layout, pool in pools.items():
                began = time.perf_counter()
                _analyse(pool, scans, layout[0])
                speeds[layout].append(len(scans) / (time.perf_counter() - began))
    for (processes, threads), measured in speeds.items():
        yield Split(processes, threads, float(np.median(measured)))


def _analyse(pool: Workers, scans: Sequence[ScanPublished], processes: int) -> None:
    batch = 2 * _TOGETHER * processes
    for start in range(0, len(scans), batch):
        for outcome in pool.analyse(scans[start : start + batch]):
            if isinstance(outcome, Unusable):
                raise SystemExit(f"benchmarks.scans: {outcome.reason}")


def memory(pictures: int) -> Iterator[Memory]:
    """Detect and embed on pictures of 200 sizes; the memory of the process, ten times meanwhile."""
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
    """The peak memory of the process after a small scan, and after one of so many megapixels."""
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
        yield Peak(analysed.width * analysed.height / 1e6, peak_mib())


def _jpeg(side: int) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def scans_of(folder: Path, limit: int) -> list[ScanPublished]:
    """The photographs of a folder as scans, or `limit` evenly chosen ones."""
    return [
        ScanPublished(
            scan_id=f"benchmark/{number}",
            uri=path.resolve().as_uri(),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            media_type=MEDIA_TYPES[path.suffix.lower()],
            collection="benchmark",
            published_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for number, path in enumerate(photographs(folder, limit))
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="photographs")
    parser.add_argument("--limit", type=int, default=30, help="at most this many, evenly chosen (default: 30)")
    parser.add_argument(
        "--upsample", type=int, default=UPSAMPLE, help=f"doublings before detection (default: {UPSAMPLE})"
    )
    parser.add_argument("--memory", type=int, metavar="N", help="measure memory over N pictures instead")
    parser.add_argument(
        "--large", type=int, metavar="N", help="measure the peak memory of a scan of N megapixels instead"
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    if arguments.memory:
        _print(memory(arguments.memory), arguments.json)
    elif arguments.large:
        _print(large(arguments.large), arguments.json)
    elif arguments.folder is None:
        parser.error("give a folder of photographs, --memory N or --large N")
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

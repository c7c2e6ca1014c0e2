"""How fast the engines detect and embed faces. They take turns in one run, each in a process of its own.

`python -m benchmarks.engines` prints a row for each stage and engine: the fastest of several calls, for one picture or
face. `--quick` leaves out the large pictures and batches and takes less than a minute. `--parity FOLDER` compares the
detections of both engines on photographs instead (see benchmarks/parity.py).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import parity
from benchmarks.measurement import peak_mib
from models.analyse import Engine, EngineParameters, load_engine
from models.images import RgbImage
from models.onnx_session import EngineError
from models.protocols import Detection
from schemas import defaults


@dataclass(frozen=True)
class Stage:
    """A call to time: a batch of pictures of this size for the detector, or a batch of chips for the embedder."""

    name: str
    width: int
    height: int
    batch: int = 1
    upsample: int = 0


@dataclass(frozen=True)
class Row:
    """Times are for one picture or face: elapsed, and processor time of all threads. Memory is the process's peak."""

    stage: str
    engine: str
    provider: str
    size: str
    batch: int
    ms: float
    cpu_ms: float
    ratio_to_dlib: float
    peak_mib: float


_LANDMARKS = "landmarks and chip"  # both engines use dlib's
_QUICK = (
    Stage("detector", 500, 375),
    Stage("detector, doubled", 500, 375, upsample=1),
    Stage("embedder", 150, 150),
    Stage("embedder", 150, 150, batch=16),
    Stage(_LANDMARKS, 500, 375),
)
_FULL = (
    *_QUICK,
    Stage("detector", 500, 375, batch=8),
    Stage("detector", 1000, 1000),
    Stage("detector", 1000, 1000, batch=4),
    Stage("detector, doubled", 1000, 1000, upsample=1),
    Stage("embedder", 150, 150, batch=64),
)
# The engines take turns for this long, and repeat the call for the length of a turn.
_SECONDS = 2.0
_SECONDS_A_TURN = 0.5

_engine: Engine | None = None


def measure(stages: Sequence[Stage], provider: str, threads: int) -> Iterator[Row]:
    """Time every stage on both engines, in turns, so that other load of the machine affects both."""
    engines = {"dlib": EngineParameters(engine="dlib"), "onnx": EngineParameters(provider=provider, threads=threads)}
    for stage in stages:
        with ExitStack() as stack:
            pools = {
                name: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _load, (parameters,)))
                for name, parameters in engines.items()
                if name == "dlib" or stage.name != _LANDMARKS
            }
            for pool in pools.values():
                pool.submit(_seconds, stage).result()  # the first call is slower
            best = dict.fromkeys(pools, (math.inf, math.inf))
            began = time.perf_counter()
            while math.inf in best["dlib"] or time.perf_counter() - began < _SECONDS:
                for name, pool in pools.items():
                    seconds, cpu_seconds = pool.submit(_seconds, stage).result()
                    best[name] = (min(best[name][0], seconds), min(best[name][1], cpu_seconds))
            for name, pool in pools.items():
                yield Row(
                    stage.name,
                    name,
                    provider if name == "onnx" else "cpu",
                    f"{stage.width} x {stage.height}",
                    stage.batch,
                    best[name][0] / stage.batch * 1000,
                    best[name][1] / stage.batch * 1000,
                    best["dlib"][0] / best[name][0],
                    pool.submit(peak_mib).result(),
                )


def _load(parameters: EngineParameters) -> None:
    global _engine
    _engine = load_engine(parameters)


def _seconds(stage: Stage) -> tuple[float, float]:
    """Elapsed and processor time of the fastest of a few calls, measured in the process that makes them."""
    if _engine is None:
        raise RuntimeError("no engine was loaded in this process")
    picture = _picture(stage.width, stage.height)
    face = Detection(stage.width // 4, stage.height // 4, stage.width // 2, stage.height // 2, 1.0)
    fastest = (math.inf, math.inf)
    turn = time.perf_counter()
    while math.inf in fastest or time.perf_counter() - turn < _SECONDS_A_TURN:
        began, began_cpu = time.perf_counter(), time.process_time()
        if stage.name.startswith("detector"):
            _engine.detector.detect([picture] * stage.batch, stage.upsample)
        elif stage.name == "embedder":
            _engine.embedder.embed([picture] * stage.batch)
        else:
            _engine.predictor.align(picture, face)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        fastest = (min(fastest[0], seconds), min(fastest[1], cpu_seconds))
    return fastest


def _picture(width: int, height: int) -> RgbImage:
    """A picture of soft spots. The time of the networks does not depend on the content."""
    spots = np.random.default_rng(0).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small pictures and batches only")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    parser.add_argument("--provider", default="cpu", help="auto, cpu, cuda, tensorrt or openvino (default: cpu)")
    parser.add_argument("--threads", type=int, default=0, help="threads of the onnx engine (default: all cores)")
    parser.add_argument("--parity", type=Path, nargs="+", metavar="FOLDER", help="compare on these photographs")
    parser.add_argument("--limit", type=int, help="with --parity: at most this many of each folder, evenly chosen")
    parser.add_argument(
        "--max-size",
        type=int,
        default=defaults.MAX_SIZE,
        help=f"with --parity: scale down to this (default: {defaults.MAX_SIZE})",
    )
    arguments = parser.parse_args()
    try:
        if arguments.parity:
            rows: Iterator[Row | parity.Row] = parity.compare(
                arguments.parity, arguments.limit, arguments.max_size, arguments.provider
            )
            table = _table(parity.Row, "Detections of the engines")
        else:
            rows = measure(_QUICK if arguments.quick else _FULL, arguments.provider, arguments.threads)
            table = _table(Row, "The engines")
        for row in rows:
            if arguments.json:
                print(json.dumps(asdict(row)), flush=True)
            table.add_row(*(_text(value) for value in asdict(row).values()))
    except EngineError as error:
        raise SystemExit(f"benchmarks.engines: {error}") from error
    if not arguments.json:
        # Without a terminal, rich assumes 80 columns, which would cut names off.
        console = Console()
        console.width = max(console.width, 120)
        console.print(table)


def _table(kind: type[Row | parity.Row], title: str) -> Table:
    return Table(*(name.replace("_", " ") for name in kind.__dataclass_fields__), title=title)


def _text(value: float | str) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1e}" if 0 < value < 0.01 else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


if __name__ == "__main__":
    main()

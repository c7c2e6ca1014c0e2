"""Where the time of the whole system goes: `facestream run` over photographs, with its broker, database and consumers.

`python -m benchmarks.spine FOLDER` runs it on a new data folder and adds up the processor time of every process, from
the start of the services to their end. A run over one photograph before says what of it is starting and stopping; the
networks' part is measured after it, on the same photographs (benchmarks/scans.py).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.scans import Share, scans_of, shares

_TICK_S = 0.2
_CONSUMERS = ("detect", "index", "cluster", "catalogue")


@dataclass(frozen=True)
class Part:
    """Processor time of one part of the system, of all its processes: for starting and stopping, and for the scans."""

    part: str
    starting_s: float
    scans_s: float
    scans_percent: float


@dataclass(frozen=True)
class Run:
    """A run over so many scans, besides starting and stopping."""

    scans: int
    seconds_to_start: float
    seconds: float
    scans_per_s: float


def measure(folder: Path, limit: int, upsample: int) -> Iterator[Run | Part]:
    """Run the system over photographs; first the run, then its parts."""
    scans = scans_of(folder, limit)
    paths = [it.uri.removeprefix("file://") for it in scans]
    began = time.monotonic()
    starting = _run(paths[:1], upsample)
    seconds_to_start = time.monotonic() - began
    began = time.monotonic()
    spent = _run(paths, upsample)
    seconds = time.monotonic() - began - seconds_to_start
    yield Run(len(scans), seconds_to_start, seconds, len(scans) / seconds)
    for part, cpu_s in starting.items():
        spent[part] -= cpu_s
    whole = sum(spent.values())
    networks = sum(_network_seconds(it, len(scans)) for it in shares(scans, upsample))
    spent["detect"] -= networks
    yield Part("detect: networks", 0.0, networks, networks / whole * 100)
    for part, cpu_s in sorted(spent.items(), key=lambda it: -it[1]):
        name = "detect: everything else" if part == "detect" else part
        yield Part(name, starting[part], cpu_s, cpu_s / whole * 100)


def _network_seconds(share: Share, scans: int) -> float:
    return share.ms_a_scan * scans / 1000 if share.part.endswith("network") else 0.0


def _run(paths: Sequence[str], upsample: int) -> dict[str, float]:
    """The processor time of each part of `facestream run`, in seconds."""
    last: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory(prefix="facestream-benchmark-") as data:
        # The database runs as another user where this one is root, and must be able to enter.
        Path(data).chmod(0o755)
        command = [
            sys.executable,
            "-m",
            "cli.main",
            "run",
            *paths,
            "--data",
            data,
            "--upsample",
            str(upsample),
            "--json",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            root = psutil.Process(process.pid)
            while process.poll() is None:
                for part, each in _processes(root):
                    try:
                        times = each.cpu_times()
                    except psutil.NoSuchProcess:
                        continue
                    last[part, each.pid] = times.user + times.system
                time.sleep(_TICK_S)
        if process.returncode:
            raise SystemExit("benchmarks.spine: the run failed, the reason stands above")
    spent: defaultdict[str, float] = defaultdict(float)
    for (part, _), seconds in last.items():
        spent[part] += seconds
    return spent


def _processes(root: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    """Every process of the run and the part that it belongs to."""
    try:
        children = root.children()
    except psutil.NoSuchProcess:
        return
    yield "run: feed, progress, supervision", root
    for child in children:
        try:
            part = _part(child.cmdline())
            yield part, child
            yield from ((part, it) for it in child.children(recursive=True))
        except psutil.NoSuchProcess:
            continue


def _part(command: Sequence[str]) -> str:
    consumer = next((it for it in _CONSUMERS if it in command), None)
    return consumer or ("broker" if "kafka.Kafka" in command else "database")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--limit", type=int, default=1000, help="at most this many, evenly chosen (default: 1000)")
    parser.add_argument("--upsample", type=int, default=1, help="doublings before detection (default: 1)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    table: Table | None = None
    for row in measure(arguments.folder, arguments.limit, arguments.upsample):
        values = [f"{it:,.1f}" if isinstance(it, float) else str(it) for it in asdict(row).values()]
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        elif isinstance(row, Run):
            print(f"{values[0]} scans in {values[2]} s, {values[3]} a second, after {values[1]} s to start and stop")
        else:
            table = table or Table(*(name.replace("_", " ") for name in asdict(row)))
            table.add_row(*values)
    if table is not None:
        Console().print(table)


if __name__ == "__main__":
    main()

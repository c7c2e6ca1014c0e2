"""The processor time of the whole system: `facestream run` over photographs, with its broker, database and consumers.

`python -m benchmarks.spine FOLDER` runs it on a new data folder and adds up the processor time of every process, from
the start of the services to their end. A run over one photograph before it measures starting and stopping; the time of
the networks is measured after it, on the same photographs (benchmarks/scans.py).
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
from schemas.defaults import UPSAMPLE

_SAMPLE_EVERY_S = 0.2
_CONSUMERS = ("detect", "index", "cluster", "catalogue")


@dataclass(frozen=True)
class Usage:
    """Processor time of all processes of one part of the system: for starting and stopping, and for the scans."""

    part: str
    starting_s: float
    scans_s: float
    scans_percent: float


@dataclass(frozen=True)
class Run:
    """Elapsed time of a run over so many scans, without starting and stopping."""

    scans: int
    seconds_to_start: float
    seconds: float
    scans_per_s: float


def measure(folder: Path, limit: int, upsample: int) -> Iterator[Run | Usage]:
    """Run the system over photographs. First the row of the run, then the usage of each part."""
    scans = scans_of(folder, limit)
    paths = [scan.uri.removeprefix("file://") for scan in scans]
    began = time.monotonic()
    starting = _run(paths[:1], upsample)
    seconds_to_start = time.monotonic() - began
    began = time.monotonic()
    spent = _run(paths, upsample)
    seconds = time.monotonic() - began - seconds_to_start
    yield Run(len(scans), seconds_to_start, seconds, len(scans) / seconds)
    for part, cpu_s in starting.items():
        spent[part] -= cpu_s
    total = sum(spent.values())
    networks = sum(_network_seconds(share, len(scans)) for share in shares(scans, upsample))
    spent["detect"] -= networks
    yield Usage("detect: networks", 0.0, networks, networks / total * 100)
    for part, cpu_s in sorted(spent.items(), key=lambda item: -item[1]):
        name = "detect: everything else" if part == "detect" else part
        yield Usage(name, starting[part], cpu_s, cpu_s / total * 100)


def _network_seconds(share: Share, scans: int) -> float:
    return share.ms_a_scan * scans / 1000 if share.part.endswith("network") else 0.0


def _run(paths: Sequence[str], upsample: int) -> dict[str, float]:
    """The processor time of each part of `facestream run`, in seconds."""
    last: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory(prefix="facestream-benchmark-") as data:
        # As root, the database runs as another user, who has to be able to enter the folder.
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
                for part, member in _processes(root):
                    try:
                        times = member.cpu_times()
                    except psutil.NoSuchProcess:
                        continue
                    last[part, member.pid] = times.user + times.system
                time.sleep(_SAMPLE_EVERY_S)
        if process.returncode:
            raise SystemExit("benchmarks.spine: the run failed, with the error above")
    spent: defaultdict[str, float] = defaultdict(float)
    for (part, _), seconds in last.items():
        spent[part] += seconds
    return spent


def _processes(root: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    """Each process of the run, with the part of the system it belongs to."""
    try:
        children = root.children()
    except psutil.NoSuchProcess:
        return
    yield "run: feed, progress, supervision", root
    for child in children:
        try:
            part = _part(child.cmdline())
            yield part, child
            yield from ((part, descendant) for descendant in child.children(recursive=True))
        except psutil.NoSuchProcess:
            continue


def _part(command: Sequence[str]) -> str:
    consumer = next((name for name in _CONSUMERS if name in command), None)
    return consumer or ("broker" if "kafka.Kafka" in command else "database")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--limit", type=int, default=1000, help="at most this many, evenly chosen (default: 1000)")
    parser.add_argument(
        "--upsample", type=int, default=UPSAMPLE, help=f"doublings before detection (default: {UPSAMPLE})"
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row")
    arguments = parser.parse_args()
    table: Table | None = None
    for row in measure(arguments.folder, arguments.limit, arguments.upsample):
        values = [f"{value:,.1f}" if isinstance(value, float) else str(value) for value in asdict(row).values()]
        if arguments.json:
            print(json.dumps(asdict(row)), flush=True)
        elif isinstance(row, Run):
            print(
                f"{values[0]} scans in {values[2]} s, {values[3]} per second, without {values[1]} s to start and stop"
            )
        else:
            table = table or Table(*(name.replace("_", " ") for name in asdict(row)))
            table.add_row(*values)
    if table is not None:
        Console().print(table)


if __name__ == "__main__":
    main()

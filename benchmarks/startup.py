"""`python -m benchmarks.startup [RUNS] [--json]`: the whole time of short commands, beside `python -c pass`.

It publishes the sample archive into a temporary folder (a minute or two), keeps it running with `facestream watch`, and
runs each command RUNS times (10), in turns, so that a slow moment of the machine affects all of them. Times are of the
whole process, from its start to its end. The ratio is that of the medians, to `python -c pass` in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_FACESTREAM = (sys.executable, "-m", "cli.main")
_READY_WITHIN_S = 120.0


@dataclass(frozen=True)
class Row:
    """One command. ratio: its median by that of `python -c pass`. cpu_min_s: processor time, user and system."""

    command: str
    runs: int
    min_s: float
    median_s: float
    cpu_min_s: float
    ratio: float


def main() -> None:
    """Start the archive, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=10)
    parser.add_argument("--json", action="store_true", help="print a line of JSON a command")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facestream-startup-") as folder, _archive(Path(folder)) as data:
        rows = measure(_commands(data), chosen.runs)
    if chosen.json:
        for row in rows:
            print(json.dumps(asdict(row)))
        return
    table = Table("command", "runs", "min s", "median s", "cpu min s", "times python -c pass")
    for row in rows:
        seconds = (f"{value:.3f}" for value in (row.min_s, row.median_s, row.cpu_min_s))
        table.add_row(row.command, str(row.runs), *seconds, f"{row.ratio:.1f}")
    Console().print(table)


def measure(commands: Mapping[str, Sequence[str]], runs: int) -> list[Row]:
    """Run all commands `runs` times, in turns. The first of them is what the others are compared with.

    Raises subprocess.CalledProcessError if one fails.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            # Another name each time: one that the face has already is not published.
            measured = _time([argument.format(run=run) for argument in command])
            # The first run compiles and fills caches.
            if run:
                times[name].append(measured)
    medians = {name: statistics.median(wall for wall, _ in measured) for name, measured in times.items()}
    first = next(iter(medians.values()))
    return [
        Row(
            name,
            runs,
            min(wall for wall, _ in measured),
            medians[name],
            min(cpu for _, cpu in measured),
            medians[name] / first,
        )
        for name, measured in times.items()
    ]


def _time(command: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    cpu, clock = _children_cpu(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - clock, _children_cpu() - cpu


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _commands(data: Path) -> dict[str, list[str]]:
    clusters = subprocess.run(
        [*_FACESTREAM, "clusters", "--json", "--data", str(data)], check=True, capture_output=True, text=True
    ).stdout
    face_id = json.loads(clusters.splitlines()[0])["faces"][0]["face_id"]
    commands = {
        "next": ["next"],
        "show": ["show", face_id],
        "status": ["status"],
        "label": ["label", face_id, "Name {run}", "--author", "benchmark"],
    }
    return {"python -c pass": [sys.executable, "-c", "pass"], "--help": [*_FACESTREAM, "--help"]} | {
        name: [*_FACESTREAM, *arguments, "--data", str(data)] for name, arguments in commands.items()
    }


@contextmanager
def _archive(folder: Path) -> Iterator[Path]:
    """The sample archive, running; stopped at the end."""
    data = folder / "data"
    subprocess.run([*_FACESTREAM, "run", "--data", str(data)], check=True, stdout=subprocess.DEVNULL)
    with (folder / "watch.log").open("wb") as log:
        watch = subprocess.Popen(
            [*_FACESTREAM, "watch", str(data / "sample"), "--data", str(data)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_idle(data)
        yield data
    finally:
        watch.send_signal(signal.SIGTERM)
        watch.wait()


def _wait_until_idle(data: Path) -> None:
    """Wait until the services answer and no consumer has anything to do."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        time.sleep(1)
        if not (data / "services.json").exists():
            continue
        status = subprocess.run(
            [*_FACESTREAM, "status", "--json", "--data", str(data)], capture_output=True, text=True, check=False
        )
        if status.returncode == 0 and not any(json.loads(status.stdout)["lag"].values()):
            return
    raise RuntimeError("the archive did not come up")


if __name__ == "__main__":
    main()

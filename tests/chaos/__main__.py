"""`python -m tests.chaos --faults 30 --seed 1`: a chaos run, and how long the system took to recover from each fault.

Exit status: 0 if the system came to what an undisturbed run comes to, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Recovery, Result, chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=30, help="how many faults there are")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same schedule and inputs")
    parser.add_argument("--kills", action="store_true", help="only kills, of which half do not wait for the last one")
    parser.add_argument("--folder", type=Path, help="a new folder, which is kept (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    # In the background of a shell it is ignored, and would be by what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="facestream-chaos-", ignore_cleanup_errors=True) as temporary:
        # The database runs as a user of its own, who has to enter it.
        Path(temporary).chmod(0o755)
        folder = options.folder or Path(temporary)
        result = chaos(folder, options.faults, options.seed, report, only_kills=options.kills)
    if options.json:
        print(json.dumps(as_json(result), indent=2))
    else:
        show(result)
    return 1 if result.problems else 0


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def times(recoveries: Sequence[Recovery]) -> list[dict[str, Any]]:
    """For each fault, how often it was made and how long it took to recover from it."""
    by_name: dict[str, list[Recovery]] = defaultdict(list)
    for recovery in recoveries:
        by_name[recovery.fault.name].append(recovery)
    rows: list[dict[str, Any]] = []
    for name, those in sorted(by_name.items()):
        measured = [one.seconds for one in those if one.seconds is not None and one.left_out is None]
        made = sum(one.left_out is None for one in those)
        rows.append(
            {
                "fault": name,
                "times": made,
                "left_out": len(those) - made,
                "median_s": round(statistics.median(measured), 1) if measured else None,
                "longest_s": round(max(measured), 1) if measured else None,
            }
        )
    return rows


def as_json(result: Result) -> dict[str, Any]:
    """All that a run has found."""
    made = [one for one in result.recoveries if one.left_out is None]
    return {
        "seed": result.seed,
        "faults": len(made),
        "seconds": round(result.seconds),
        "identical": not result.problems,
        "problems": result.problems,
        "rows": result.rows,
        "left_out": sorted({one.left_out for one in result.recoveries if one.left_out}),
        "recovery": times(result.recoveries),
    }


def show(result: Result) -> None:
    """The same for a person."""
    console = Console()
    table = Table("fault", "times", "median s", "longest s")
    for row in times(result.recoveries):
        cells = (row["fault"], row["times"], row["median_s"], row["longest_s"])
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    console.print(table)
    found = as_json(result)
    for reason in found["left_out"]:
        console.print(f"left out: {reason}")
    rows = ", ".join(f"{number:,} {name}" for name, number in result.rows.items())
    console.print(f"{found['faults']} faults in {found['seconds']} s, seed {result.seed}; rows: {rows}")
    for problem in result.problems:
        console.print(f"PROBLEM: {problem}", markup=False, soft_wrap=True)
    if not result.problems:
        console.print("topics, state and tables are those of an undisturbed run of the same inputs")


if __name__ == "__main__":
    sys.exit(main())

"""Damaged pictures of every format: each is read or refused, and none ends the process that decodes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

_COUNT, _SEED = 3000, 14


@pytest.mark.slow
def test_no_damaged_picture_ends_its_process() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.builders.mutations", str(_COUNT), str(_SEED)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    last = [line for line in done.stderr.splitlines() if line.isdigit()][-1:]
    assert done.returncode == 0, f"ended at number {last}: {done.stderr[-1000:]}"
    report = json.loads(done.stdout)
    counts = Counter[str]()
    for name, outcomes in report["outcomes"].items():
        counts.update(outcomes)
        print(f"{name:20} {outcomes}")
    print(counts, "slowest", report["slowest_s"], "s")
    assert sum(counts.values()) >= _COUNT
    assert counts["read"] > 100
    assert report["slowest_s"] < 60

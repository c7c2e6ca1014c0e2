"""Soft labels are as often right as their probabilities say, on photographs of known people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_of_labels_that_are_nearly_certain_nearly_all_are_right(shared_data: Path, tmp_path: Path) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as whole:
        half = tmp_path / "half.npz"
        np.savez(half, E=whole["E"][::2], F=whole["F"][::2])
    rows = [row for row in benchmark(half, tmp_path / "drawn.png") if "brier" in row]
    assert len(rows) == 5
    assert sum(row["sure_wrong"] for row in rows) < 0.01 * sum(row["sure"] for row in rows)
    assert sum(row["sure"] for row in rows) > 0.3 * sum(row["soft_labels"] for row in rows)
    assert np.mean([row["brier"] for row in rows]) < np.mean([row["if_certain"] for row in rows])
    assert max(row["calibration_error"] for row in rows) < 0.1
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def benchmark(path: Path, image: Path) -> list[dict[str, Any]]:
    """Run as a person does."""
    command = [sys.executable, "-m", "benchmarks.labelling", "--reliability", str(path), "--plot", str(image), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_")}
    ran = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]

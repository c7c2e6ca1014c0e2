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

from benchmarks.reliability import Reliability, SoftLabels, bins_of, reliability_of

_ROOT = Path(__file__).parents[2]


def labels(probabilities: list[float], right: list[bool]) -> SoftLabels:
    faces = np.arange(len(right))
    return SoftLabels("a set", "all", faces, faces, np.array(probabilities), np.array(right))


def test_labels_that_are_right_as_often_as_predicted_have_no_calibration_error() -> None:
    found = reliability_of(labels([0.75] * 4, [True, True, True, False]))
    assert (found.soft_labels, found.wrong, found.calibration_error, found.if_certain) == (4, 1, 0.0, 0.25)
    assert found.brier == pytest.approx(0.75 * 0.25, abs=1e-4)


def test_a_bin_holds_its_lower_end_and_the_last_one_both() -> None:
    first, last = bins_of([labels([0.9, 0.99, 1.0], [False, True, True])])
    assert (first.low, first.high, first.soft_labels, first.right) == (0.9, 0.95, 1, 0.0)
    assert (last.low, last.high, last.soft_labels, last.predicted) == (0.99, 1.0, 2, 0.995)


@pytest.mark.slow
def test_of_labels_that_are_nearly_certain_nearly_all_are_right(shared_data: Path, tmp_path: Path) -> None:
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as whole:
        half = tmp_path / "half.npz"
        np.savez(half, E=whole["E"][::2], F=whole["F"][::2])
    found = [row for row in benchmark(half, tmp_path / "drawn.png") if "brier" in row]
    rows = [Reliability(**row) for row in found]
    assert len(rows) == 5
    assert sum(row.sure_wrong for row in rows) < 0.01 * sum(row.sure for row in rows)
    assert sum(row.sure for row in rows) > 0.3 * sum(row.soft_labels for row in rows)
    assert np.mean([row.brier for row in rows]) < np.mean([row.if_certain for row in rows])
    assert max(row.calibration_error for row in rows) < 0.1
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def benchmark(path: Path, image: Path) -> list[dict[str, Any]]:
    """Run as a person does."""
    command = [sys.executable, "-m", "benchmarks.labelling", "--reliability", str(path), "--plot", str(image), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_")}
    ran = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]

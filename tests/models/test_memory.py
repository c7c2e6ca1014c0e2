"""What the engine holds in memory does not depend on how many sizes of scans it has seen."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, so that what other tests leave behind plays no part.
_DETECT = """
import numpy as np, psutil
from models import weights
from models.onnx_engine import OnnxDetector
from models.onnx_session import Execution
detector = OnnxDetector(weights.weight_file(weights.DETECTOR), 0.0, Execution("cpu", 1))
random = np.random.default_rng(0)
noise = random.integers(0, 256, (240, 240, 3), dtype=np.uint8)
sizes = random.integers(40, 240, (200, 2))
for size in np.concatenate([sizes, random.permutation(sizes), random.permutation(sizes)]):
    detector.detect([np.ascontiguousarray(noise[:size[0], :size[1]])], 0)
    print(psutil.Process().memory_info().rss)
"""


@pytest.mark.weights
def test_two_hundred_sizes_need_no_more_memory_the_third_time_than_the_first() -> None:
    done = subprocess.run([sys.executable, "-c", _DETECT], capture_output=True, text=True, check=True, timeout=120)
    resident = [int(line) for line in done.stdout.split()]
    assert max(resident[400:]) < 1.1 * max(resident[:200])

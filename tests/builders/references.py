"""References for tests."""

from __future__ import annotations

import numpy as np

from calibration.distances import Vectors
from calibration.reference import Reference


def reference(*banks: Vectors, level: float = 0.0, largest_offset: float = 10.0) -> Reference:
    """A reference with these banks."""
    return Reference(banks, level, largest_offset, slope=0.02, sampled=400, archive_faces=400)


def reference_on_a_grid(seed: int = 0) -> Reference:
    """One for faces of `random_log`, whose offsets differ: who is nearer depends on them."""
    generator = np.random.default_rng(seed)
    banks = [np.zeros((20, 128), dtype=np.float32) for _ in range(2)]
    for bank in banks:
        bank[:, :2] = generator.uniform(-0.5, 1.5, (20, 2))
        bank[:, 2] = 0.5
    return reference(*banks, level=0.1)

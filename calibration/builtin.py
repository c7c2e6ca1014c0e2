"""The built-in reference, for archives that have too few faces for one of their own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from calibration.reference import Reference

PATH = Path(__file__).with_name("builtin.npz")

PROVENANCE = (
    "Made by benchmarks/builtin_reference.py from dlib embeddings of Labeled Faces in the Wild (Huang et al. 2007). "
    "Each face is made of four people, one photo of each, so it is no real person's."
)


@cache
def builtin_reference() -> Reference:
    """Averages of four people each; its level is on the safe side in archives of several kinds."""
    with np.load(PATH, allow_pickle=False) as stored:
        return Reference(
            banks=tuple(np.ascontiguousarray(bank) for bank in stored["banks"].astype(np.float32)),
            level=float(stored["level"]),
            largest_offset=float(stored["largest_offset"]),
            slope=float(stored["slope"]),
            sampled=int(stored["sampled"]),
            archive_faces=int(stored["sampled"]),
        )

"""Makes the built-in reference, calibration/builtin.npz: `python -m benchmarks.builtin_reference EMBEDDINGS.npz`.

The set (arrays `E`, n x d, and `F`, names `person/photo`) is one of many people who are known. Each face of the
reference is made of four of them, one photo of each: the sum of their deviations from the mean of all people, halved,
so that it is as far from the mean as a single face. So it holds no real person's embedding.

Its level is `_LEVEL`, far stricter than that of the set itself (-0.04), since an archive that has too few faces for a
reference of its own may be of any kind: see docs/clustering.md for what it does to three sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from calibration.builtin import PATH, PROVENANCE
from calibration.reference import raw_offsets

_PEOPLE, _FACES, _BANKS = 4, 320, 2
_LEVEL, _SLOPE = -0.147, 0.019
_SEED = 0


def make(vectors: np.ndarray, people: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of the file."""
    generator = np.random.default_rng(_SEED)
    chosen = [generator.choice(np.flatnonzero(people == person)) for person in np.unique(people)]
    faces = vectors[chosen].astype(np.float64)
    mean = faces.mean(axis=0)
    banks = []
    for _ in range(_BANKS):
        groups = np.stack([generator.choice(len(faces), _PEOPLE, replace=False) for _ in range(_FACES)])
        banks.append(mean + (faces[groups] - mean).sum(axis=1) / np.sqrt(_PEOPLE))
    stored = np.stack(banks).astype(np.float16)
    offsets = raw_offsets(vectors[chosen].astype(np.float32), tuple(bank.astype(np.float32) for bank in stored), 1)
    return {
        "banks": stored,
        "level": np.array(_LEVEL),
        "slope": np.array(_SLOPE),
        "largest_offset": np.array(float(np.quantile(offsets, 0.99))),
        "sampled": np.array(len(faces)),
        "provenance": np.array(PROVENANCE),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--output", type=Path, default=PATH)
    arguments = parser.parse_args()
    with np.load(arguments.embeddings) as loaded:
        people = np.array([str(name).split("/")[0] for name in loaded["F"]])
        np.savez_compressed(arguments.output, allow_pickle=False, **make(loaded["E"], people))
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

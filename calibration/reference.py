"""A reference, and the distance that is calibrated with it.

What a Euclidean distance of 0.45 between two faces means depends on the archive, and on the faces: in faded portraits
all strangers are nearer to each other than in press photographs, and some faces are near to everybody (*hubs*). So each
face has an *offset*: how far away the nearest faces of other people are, as measured on a frozen set of faces of the
archive, the *reference*. Two faces are as far apart as their Euclidean distance, less the mean of their offsets.

Known from speaker and face verification as adaptive score normalisation: Reynolds et al. 2000 (T- and Z-norm), Matějka
et al. 2017 (adaptive s-norm: the nearest of a cohort only). The mean of both offsets, subtracted, is also a remedy for
hubs: Schnitzer et al. 2012 (NICDM and mutual proximity).

The offset is a function of the embedding and the reference alone. So the distance is exact, local, and indifferent to
the order in which faces come.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration.distances import Distances, Vectors, block_distances, pair_distances

# The calibrated distance that a share STRANGERS of the pairs of strangers in a reference is within. With any reference
# a calibrated distance so means the same; thresholds are relative to it.
STRANGERS = 2e-3
STRANGERS_AT = 0.5
# The offset is the mean of the distances to the second to sixth nearest of a bank. The nearest may be of the face's own
# person: a bank holds each person once, as far as is known.
SKIPPED, COUNTED = 1, 5
# Of a bank, so many of the nearest by rounded distances hold the nearest six by exact ones.
_CANDIDATES = 16
_FACES_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Reference:
    """Frozen: another one is another generation, with other distances.

    banks: faces of different people, as far as is known, in sets of their own: float32, shape (any, d). An offset is
        the mean over them.
    level: the Euclidean distance, less the mean of the offsets, that becomes STRANGERS_AT.
    largest_offset: offsets beyond count as this one, so that a face unlike all others is not near to everybody.
    slope: how much nearer the nearest strangers are in an archive that is e times as large.
    sampled, archive_faces: how many faces it was drawn from, and how many the archive had.
    unit: Euclidean distances are divided by it. With another embedder than dlib's, it is how many times as long its
        distances are: all thresholds so mean the same with each.
    """

    banks: tuple[Vectors, ...]
    level: float
    largest_offset: float
    slope: float
    sampled: int
    archive_faces: int
    unit: float = 1.0

    @cached_property
    def name(self) -> str:
        """It names what it is: the first 16 digits of the SHA-256 of all that distances depend on."""
        content = hashlib.sha256(np.array([self.level, self.largest_offset], dtype="<f8").tobytes())
        for bank in self.banks:
            content.update(np.array(bank.shape, dtype="<i8").tobytes())
            content.update(bank.astype("<f4").tobytes())
        if self.unit != 1.0:
            content.update(np.array([self.unit], dtype="<f8").tobytes())
        return content.hexdigest()[:16]

    def offsets(self, vectors: Vectors) -> Distances:
        """The offset of each face, its share of the level included: float32 of shape (n, d) to float64 of shape (n,).

        Half the sum of two of them is what is subtracted from their Euclidean distance. The same to the last bit
        whatever other faces there are.
        """
        found = raw_offsets(vectors, self.banks, SKIPPED) / self.unit
        return np.asarray(np.minimum(found, self.largest_offset) + (self.level - STRANGERS_AT))

    @property
    def largest(self) -> float:
        """No result of `offsets` is larger."""
        return self.largest_offset + (self.level - STRANGERS_AT)

    def strangers_within(self, distance: float) -> float:
        """The share of the pairs of strangers expected within a calibrated distance, by the reference's own tail."""
        return float(STRANGERS * np.exp((distance - STRANGERS_AT) / self.slope))


def calibrated(euclidean: Distances, one: Distances, other: Distances) -> Distances:
    """The calibrated distances of pairs, from their Euclidean distances and the offsets of both ends; never below 0."""
    return np.maximum(euclidean - (one + other) / 2, 0.0)


def raw_offsets(vectors: Vectors, banks: tuple[Vectors, ...], skipped: int) -> Distances:
    """The mean over the banks of the mean distance to the nearest, after `skipped`: float64, shape (n,)."""
    total = np.zeros(len(vectors), dtype=np.float64)
    for bank in banks:
        for start in range(0, len(vectors), _FACES_AT_ONCE):
            block = vectors[start : start + _FACES_AT_ONCE]
            total[start : start + _FACES_AT_ONCE] += _nearest_mean(block, bank, skipped)
    return total / len(banks)


def _nearest_mean(vectors: Vectors, bank: Vectors, skipped: int) -> Distances:
    count = min(max(_CANDIDATES, skipped + COUNTED), len(bank))
    nearest = np.argpartition(block_distances(vectors, bank), count - 1, axis=1)[:, :count]
    pairs = np.repeat(vectors, count, axis=0), bank[nearest.ravel()]
    exact = np.sort(pair_distances(*pairs).reshape(nearest.shape), axis=1)
    return np.asarray(exact[:, skipped : skipped + COUNTED].mean(axis=1))

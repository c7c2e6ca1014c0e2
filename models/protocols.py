"""What a face engine is: a detector, a landmark predictor and an embedder, each behind a small protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.images import RgbImage

Chip = npt.NDArray[np.uint8]
"""An aligned face: uint8, shape (150, 150, 3)."""

Points = npt.NDArray[np.float64]
"""Landmarks in pixels: float64, shape (5, 2), x and y; the outer and inner corner of each eye, then below the nose."""


@dataclass(frozen=True)
class Detection:
    """A face found: a rectangle in pixels as dlib gives it (right and bottom included), and the detector's score."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


class Detector(Protocol):
    """Finds faces. `at_once` is the number of pictures that it gains by having in one call."""

    at_once: int

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """The faces of each picture, best first, in pixels of the picture. It is doubled `upsample` times before.

        What is found on a picture does not depend on the others.
        """


class LandmarkPredictor(Protocol):
    """Finds the five points that faces are aligned by."""

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """The landmarks of one face, and the face, cut out and aligned by them."""


class Embedder(Protocol):
    """Describes a face by a vector."""

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """The embeddings of aligned faces: float32, shape (len(chips), 128)."""

"""The parts of a face engine: a detector, a landmark predictor and an embedder, each behind a small protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.pixels import RgbImage

CHIP_SIZE = 150
"""The side of dlib's chip in pixels, which dlib's embedder was trained on."""

Chip = npt.NDArray[np.uint8]
"""An aligned face: uint8, shape (height, width, 3), red, green, blue; dlib's has CHIP_SIZE pixels each way."""

Points = npt.NDArray[np.float64]
"""Landmarks in pixels: float64, shape (5, 2), x and y.

dlib's predictor gives the outer and inner corner of each eye, then the point below the nose. A detector with landmarks
gives the eyes, the tip of the nose, and the corners of the mouth, left before right as seen in the picture.
"""


@dataclass(frozen=True)
class Detection:
    """A detected face: its rectangle in pixels, and the detector's score (no unit; above 0 by default).

    As in dlib's `rectangle`, the columns `right` and the rows `bottom` still belong to the face. landmarks: those that
    the detector found with it, x and y in pixels, in the order of Points; none where it finds faces alone.
    """

    left: int
    top: int
    right: int
    bottom: int
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()

    def moved(self, left: int, top: int) -> Detection:
        """The same face where the image is a section of a larger one that begins at this pixel."""
        landmarks = tuple((x + left, y + top) for x, y in self.landmarks)
        return Detection(self.left + left, self.top + top, self.right + left, self.bottom + top, self.score, landmarks)


class Detector(Protocol):
    """Finds faces. `batch_size` is the number of images per call that makes the best use of the device."""

    batch_size: int

    def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
        """The faces of each image, by descending score, in pixels of that image.

        Each image is doubled `upsample` times before the search. The faces of an image do not depend on the other
        images of the call. Raises models.onnx_session.NetworkFailed when the network fails on its device.
        """


class LandmarkPredictor(Protocol):
    """Finds the five points that a face is aligned by."""

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """The landmarks of a face, in pixels of the image, and its chip, cut out and aligned by them."""


class Embedder(Protocol):
    """Computes embeddings."""

    def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
        """The embeddings of chips: float32, shape (len(chips), dimensions), normalised or not.

        The Euclidean distance of two embeddings is small when they are of the same person. Raises
        models.onnx_session.NetworkFailed when the network fails on its device.
        """

"""Faces cut out so that their landmarks lie where a network wants them.

Points are x and y in pixels; a pixel's middle is at whole numbers, as in dlib.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.descriptions import Targets
from models.pixels import RgbImage
from models.protocols import Chip, Detection, Points

Transform = npt.NDArray[np.float64]
"""float64, shape (2, 3): [a -b x0; b a y0], which takes a point of the chip to one of the image."""


class FindsLandmarks(Protocol):
    """Where the landmarks of a face come from."""

    def landmarks(self, image: RgbImage, face: Detection) -> Points:
        """The five landmarks of a face, in pixels of the image."""

    def named(self, points: Points) -> Mapping[str, npt.NDArray[np.float64]]:
        """The points that can be aligned, by their names in models.descriptions.Targets: float64, shape (2,) each."""


class DetectedLandmarks:
    """The landmarks that a detector finds with each face: both eyes, the tip of the nose, the corners of the mouth."""

    def landmarks(self, image: RgbImage, face: Detection) -> Points:
        """See FindsLandmarks."""
        del image
        return np.array(face.landmarks, dtype=np.float64).reshape(-1, 2)

    def named(self, points: Points) -> Mapping[str, npt.NDArray[np.float64]]:
        """See FindsLandmarks."""
        names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        return dict(zip(names, points, strict=True))


class PointAligner:
    """A LandmarkPredictor whose chips are cut out by a similarity transform to target points."""

    def __init__(self, source: FindsLandmarks, targets: Targets, size: tuple[int, int]) -> None:
        """`size`: width and height of a chip in pixels."""
        self._source = source
        self._targets = targets.named()
        self._size = size

    def align(self, image: RgbImage, face: Detection) -> tuple[Points, Chip]:
        """See LandmarkPredictor."""
        points = self._source.landmarks(image, face)
        named = self._source.named(points)
        common = [name for name in self._targets if name in named]
        transform = similarity(
            np.array([self._targets[name] for name in common]), np.array([named[name] for name in common])
        )
        return points, cut_out(image, transform, self._size)


def similarity(source: Points, target: Points) -> Transform:
    """The similarity transform that takes `source` nearest to `target`, both of shape (n, 2), n at least 2.

    Least squares (Umeyama 1991, without reflection), in complex numbers: z becomes r z + t.
    """
    z, w = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    from_mean = z - z.mean()
    r = (from_mean.conj() * (w - w.mean())).sum() / (from_mean.conj() * from_mean).sum().real
    t = w.mean() - r * z.mean()
    return np.array([[r.real, -r.imag, t.real], [r.imag, r.real, t.imag]])


def cut_out(image: RgbImage, transform: Transform, size: tuple[int, int]) -> Chip:
    """The chip of this width and height, sampled bilinearly; what is beyond the image is black.

    Where several pixels of the image go into one of the chip, they are averaged before.
    """
    width, height = size
    corners = np.array([(x, y) for x in (-1.0, width) for y in (-1.0, height)])
    on_image = corners @ transform[:, :2].T + transform[:, 2]
    rows, columns = image.shape[:2]
    sides = np.array([columns, rows])
    left, top = np.clip(np.floor(on_image.min(axis=0)).astype(np.int64) - 1, 0, sides - 1).tolist()
    ends = np.clip(np.ceil(on_image.max(axis=0)).astype(np.int64) + 2, [left + 1, top + 1], sides)
    right, bottom = ends.tolist()
    section = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    factor = max(1, int(math.hypot(transform[0, 0], transform[1, 0])))
    if factor > 1:
        section = section.reduce(factor)
    # Pillow's coordinates are of the corners of pixels: the middle of the first is 0.5.
    linear = transform[:, :2] / factor
    moved = (transform[:, 2] + 0.5 - transform[:, :2].sum(axis=1) / 2 - (left, top)) / factor
    coefficients = (linear[0, 0], linear[0, 1], moved[0], linear[1, 0], linear[1, 1], moved[1])
    return np.asarray(section.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))

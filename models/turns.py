"""Scans turned by quarters, and their negatives: where a point of the turned image lies on the scan.

A turn is what the scan is turned by, clockwise, in quarters: 0 to 3. Points are in pixels, x and y.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.pixels import RgbImage
from models.protocols import Chip, Detection, LandmarkPredictor, Points

# What is cut out around a face to align it, as a share of its size on each side: more than a chip shows.
_MARGIN = 1.5


def turned(image: RgbImage, turn: int, *, negative: bool = False) -> RgbImage:
    """A copy of the image, turned clockwise."""
    rotated = np.ascontiguousarray(np.rot90(image, -turn))
    return 255 - rotated if negative else rotated


def points_on_scan(points: npt.NDArray[np.float64], turn: int, width: int, height: int) -> npt.NDArray[np.float64]:
    """Points (n, 2) of the turned image as points of the scan, which has this width and height."""
    x, y = points[:, 0], points[:, 1]
    moved = {0: (x, y), 1: (y, height - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (width - 1 - y, x)}[turn]
    return np.stack(moved, axis=1)


def on_scan(face: Detection, turn: int, width: int, height: int) -> Detection:
    """A face of the turned image as one of the scan, which has this width and height."""
    corners = np.array([(face.left, face.top), (face.right, face.bottom)], dtype=np.float64)
    landmarks = np.array(face.landmarks, dtype=np.float64).reshape(-1, 2)
    return _spanning(
        points_on_scan(corners, turn, width, height), face.score, points_on_scan(landmarks, turn, width, height)
    )


def on_turned(face: Detection, turn: int, width: int, height: int) -> Detection:
    """A face of the scan, which has this width and height, as one of the turned image: the opposite of `on_scan`."""
    columns, rows = (height, width) if turn % 2 else (width, height)
    return on_scan(face, (4 - turn) % 4, columns, rows)


def align_turned(
    predictor: LandmarkPredictor, image: RgbImage, face: Detection, turn: int, *, negative: bool
) -> tuple[Points, Chip]:
    """The landmarks of a face, in pixels of the scan, and its chip, upright. `face` is in pixels of the scan."""
    if turn == 0 and not negative:
        return predictor.align(image, face)
    # Only what is around the face is turned: a copy of a large scan would need as much memory again.
    height, width = image.shape[:2]
    across, down = (int(_MARGIN * side) for side in (face.right - face.left, face.bottom - face.top))
    left, top = max(0, face.left - across), max(0, face.top - down)
    section = image[top : min(height, face.bottom + down + 1), left : min(width, face.right + across + 1)]
    rows, columns = section.shape[:2]
    upright = on_turned(face.moved(-left, -top), turn, columns, rows)
    points, chip = predictor.align(turned(section, turn, negative=negative), upright)
    return points_on_scan(points, turn, columns, rows) + np.array([left, top], dtype=np.float64), chip


def _spanning(corners: npt.NDArray[np.float64], score: float, landmarks: npt.NDArray[np.float64]) -> Detection:
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    points = tuple((x, y) for x, y in landmarks.tolist())
    return Detection(round(left), round(top), round(right), round(bottom), score, points)

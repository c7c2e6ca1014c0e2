"""Scans made smaller for the detector, and its faces brought back to the pixels of the scan."""

from __future__ import annotations

import numpy as np
from PIL import Image

from models.pixels import RgbImage, bands
from models.protocols import Detection

# How much larger than the result an image may be for Pillow's exact resizing; above, whole pixels are averaged before.
_REDUCING_GAP = 2.0
# Larger images are averaged in bands, since Pillow copies an image and needs 4 bytes a pixel.
_LARGE = 25_000_000


def scaled_down(image: RgbImage, max_size: int) -> RgbImage:
    """The image that is searched for faces: its longer side is at most `max_size` pixels. Never larger than `image`."""
    height, width = image.shape[:2]
    return scaled(image, min(1.0, max_size / max(height, width)))


def scaled(image: RgbImage, scale: float) -> RgbImage:
    """The image at a scale of at most 1, each pixel the mean of those that it stands for."""
    if scale >= 1.0:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if width * height <= _LARGE:
        whole = Image.fromarray(image)
        return np.asarray(whole.resize(size, Image.Resampling.BOX, reducing_gap=_REDUCING_GAP))
    # As Image.resize does with a reducing gap.
    across, down = (int(side / wanted / _REDUCING_GAP) or 1 for side, wanted in zip((width, height), size, strict=True))
    reduced = Image.fromarray(reduced_by(image, across, down))
    return np.asarray(reduced.resize(size, Image.Resampling.BOX, box=(0, 0, width / across, height / down)))


def reduced_by(image: RgbImage, across: int, down: int) -> RgbImage:
    """The image with each pixel the mean of `across` times `down` ones: Image.reduce, band by band."""
    height, width = image.shape[:2]
    reduced = np.empty((-(-height // down), -(-width // across), 3), dtype=np.uint8)
    for rows in bands(width * down, reduced.shape[0]):
        band = Image.fromarray(np.ascontiguousarray(image[rows.start * down : rows.stop * down]))
        reduced[rows] = np.asarray(band.reduce((across, down)))
    return reduced


def scaled_up(face: Detection, searched: RgbImage, image: RgbImage) -> Detection:
    """A detection in pixels of the searched image as one in pixels of the scan."""
    (height, width), (rows, columns) = image.shape[:2], searched.shape[:2]
    return Detection(
        round(face.left * width / columns),
        round(face.top * height / rows),
        round(face.right * width / columns),
        round(face.bottom * height / rows),
        face.score,
        tuple(((x + 0.5) * width / columns - 0.5, (y + 0.5) * height / rows - 0.5) for x, y in face.landmarks),
    )

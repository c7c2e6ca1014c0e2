"""Pictures as a described network takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.descriptions import Description
from models.pixels import RgbImage


def network_input(images: Sequence[RgbImage], takes: Description) -> npt.NDArray[np.float32]:
    """Pictures of one size as one batch: float32, shape (n, 3, height, width), or (n, height, width, 3)."""
    pixels = np.stack(images).astype(np.float32)
    pixels -= np.array(takes.mean, dtype=np.float32)
    pixels /= np.array(takes.scale, dtype=np.float32)
    if takes.colour == "bgr":
        pixels = pixels[..., ::-1]
    if takes.layout == "nchw":
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels)

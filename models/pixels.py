"""What all decoders share: the type of an image, the error of one that cannot be used, and the limit on its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from errors import FacestreamError

RgbImage = npt.NDArray[np.uint8]
"""An image: uint8, shape (height, width, 3), red, green, blue."""

MAX_PIXELS = 500_000_000
"""An image with more pixels is refused: its 8-bit form alone needs 1.5 GB."""

# Conversions work on bands of about so many pixels, so that their copies stay small.
_BAND_PIXELS = 4_000_000


class UnreadableImage(FacestreamError):
    """These bytes are not an image that can be used. The text gives the reason."""


def check_size(width: int, height: int) -> None:
    """Raise UnreadableImage for an image without pixels, and for one with more than MAX_PIXELS."""
    if width < 1 or height < 1:
        raise UnreadableImage(f"the image is damaged: its size is given as {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels, at most {MAX_PIXELS:,} are taken")


def bands(width: int, height: int) -> Iterator[slice]:
    """Cut an image into bands of full width: slices of its rows, in order."""
    rows = max(1, _BAND_PIXELS // max(1, width))
    yield from (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def oriented(image: RgbImage, orientation: int) -> RgbImage:
    """The image as a person sees it, by the orientation of EXIF 2.3 and TIFF 6.0 (1 to 8; others count as 1)."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)

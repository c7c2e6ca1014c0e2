"""Images from bytes: every format of models.formats, upright as a person sees it, in 8-bit RGB."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from errors import FacestreamError
from models.formats import FORMAT_NAMES, FORMATS, TIFF

RgbImage = npt.NDArray[np.uint8]
"""An image: uint8, shape (height, width, 3), red, green, blue."""

MAX_PIXELS = 500_000_000
"""An image with more pixels is refused: its 8-bit form alone needs 1.5 GB."""

_PILLOW_FORMATS = tuple(known.pillow for known in FORMATS)


class UnreadableImage(FacestreamError):
    """These bytes are not an image that can be used. The text gives the reason."""


@dataclass(frozen=True)
class ImageInfo:
    """What the content of a file is: its media type, and its number of pages (1 for all but multi-page TIFFs)."""

    media_type: str
    pages: int


def inspect(data: bytes) -> ImageInfo:
    """The media type and pages of an image file, without decoding its pixels. Raises UnreadableImage."""
    with _opened(data) as image:
        pages = getattr(image, "n_frames", 1) if image.format == TIFF.pillow else 1
        # Pillow may report a format beside those of the table: a JPEG with several pictures is an MPO.
        return ImageInfo(Image.MIME.get(image.format or "", "application/octet-stream"), pages)


def decode(data: bytes, page: int | None = None) -> RgbImage:
    """The image of a file, or one page of it, turned as its EXIF orientation demands.

    `page` counts from 1. 16-bit gray is scaled to 8 bits, transparency is laid on white, other modes are converted to
    RGB. Raises UnreadableImage for a damaged file, an unknown format, a missing page and more than MAX_PIXELS pixels.
    """
    with _opened(data) as image:
        if page is not None:
            pages = getattr(image, "n_frames", 1)
            if page > pages:
                raise UnreadableImage(f"page {page} was asked for, the file has {pages}")
            image.seek(page - 1)
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableImage(f"{image.width} x {image.height} pixels, the limit is {MAX_PIXELS:,}")
        # In place: a second copy of a large scan would double the memory.
        ImageOps.exif_transpose(image, in_place=True)
        return np.ascontiguousarray(_as_rgb(image))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with warnings.catch_warnings():
            # `decode` checks MAX_PIXELS itself before it decodes anything.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as image:
                yield image
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"not an image in a supported format ({FORMAT_NAMES})") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"too many pixels, the limit is {MAX_PIXELS:,}") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError) as error:
        raise UnreadableImage(f"the image is damaged: {error}") from error


def _as_rgb(image: Image.Image) -> npt.NDArray[Any]:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_eight_bits(np.asarray(image))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _to_eight_bits(gray: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Gray of 16 bits or more (height, width) as three equal 8-bit channels (height, width, 3).

    The full scale is 65535 for 16-bit data and for wider data with values above 255, else 255. Values above the full
    scale (32-bit integers, floats) raise it to the largest value.
    """
    largest = float(gray.max(initial=0))
    full_scale = 65535.0 if gray.dtype.itemsize == 2 or largest > 255 else 255.0
    eight = np.clip(gray.astype(np.float32) * (255.0 / max(full_scale, largest)), 0, 255).round()
    return np.repeat(eight.astype(np.uint8)[:, :, None], 3, axis=2)

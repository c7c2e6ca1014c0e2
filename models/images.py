"""Pictures from bytes: every format an archive scans to, as a person sees it, in 8-bit RGB."""

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

RgbImage = npt.NDArray[np.uint8]
"""A picture: uint8, shape (height, width, 3), red, green, blue."""

MAX_PIXELS = 500_000_000
"""A picture with more pixels is refused: its 8-bit form alone needs 1.5 GB."""

_FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP")


class UnreadableImage(FacestreamError):
    """These bytes are not a picture that can be used. The text says why, for a person."""


@dataclass(frozen=True)
class ImageInfo:
    """What a file says of itself. `pages` is 1 but for a multi-page TIFF."""

    media_type: str
    pages: int


def inspect(data: bytes) -> ImageInfo:
    """What kind of picture this is, without decoding it. Raises UnreadableImage."""
    with _opened(data) as image:
        pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        return ImageInfo(Image.MIME.get(image.format or "", "application/octet-stream"), pages)


def decode(data: bytes, page: int | None = None) -> RgbImage:
    """The picture, or the page of it (from 1), upright as its EXIF orientation says. Raises UnreadableImage."""
    with _opened(data) as image:
        if page is not None:
            pages = getattr(image, "n_frames", 1)
            if page > pages:
                raise UnreadableImage(f"page {page} was asked for, the file has {pages}")
            image.seek(page - 1)
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableImage(f"{image.width} x {image.height} pixels, at most {MAX_PIXELS:,} are taken")
        # In place, as every copy of a large scan counts.
        ImageOps.exif_transpose(image, in_place=True)
        return np.ascontiguousarray(_as_rgb(image))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with warnings.catch_warnings():
            # Our own bound is checked before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                yield image
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"not a picture in any format taken here ({', '.join(_FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"too many pixels, at most {MAX_PIXELS:,} are taken") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError) as error:
        raise UnreadableImage(f"the picture is damaged: {error}") from error


def _as_rgb(image: Image.Image) -> npt.NDArray[Any]:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_eight_bits(np.asarray(image))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        upright = image.convert("RGBA")
        paper = Image.new("RGBA", upright.size, "white")
        return np.asarray(Image.alpha_composite(paper, upright).convert("RGB"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _to_eight_bits(gray: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """16-bit gray as three equal 8-bit channels. Wider kinds are scaled by what is in them."""
    top = 65535.0 if gray.dtype.itemsize == 2 or gray.max(initial=0) > 255 else 255.0
    eight = np.clip(gray.astype(np.float32) * (255.0 / max(top, float(gray.max(initial=0)))), 0, 255).round()
    return np.repeat(eight.astype(np.uint8)[:, :, None], 3, axis=2)

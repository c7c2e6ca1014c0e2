"""Images from bytes: every format of models.formats, upright as a person sees it, in 8-bit RGB.

Each format has a module of its own. Here is what holds for all of them: whatever a decoder raises, the image is
unreadable, with a reason, and nothing else.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pi_heif
from PIL import UnidentifiedImageError

from models import camera_raw, documents, tiff, tiff_pages
from models.formats import (
    AVIF,
    BMP,
    CAMERA_RAW,
    FORMAT_NAMES,
    GIF,
    HEIC,
    JPEG,
    JPEG_2000,
    JPEG_XL,
    PDF,
    PNG,
    TIFF,
    WEBP,
    ImageFormat,
    format_of,
)
from models.jpeg import decode_jpeg
from models.jpeg2000 import decode_jpeg2000
from models.jpegxl import decode_jpegxl
from models.pixels import MAX_PIXELS, RgbImage, UnreadableImage
from models.png import decode_png
from models.raster import opened, rgb_of_pillow

__all__ = ["MAX_PIXELS", "ImageInfo", "RgbImage", "UnreadableImage", "decode", "inspect"]

pi_heif.register_heif_opener(thumbnails=False)
_DECODERS = {
    JPEG: decode_jpeg,
    PNG: decode_png,
    JPEG_2000: decode_jpeg2000,
    JPEG_XL: decode_jpegxl,
    CAMERA_RAW: camera_raw.decode_raw,
}
# As Pillow names the formats that need no more than Pillow.
_PILLOW_NAMES = {WEBP: "WEBP", AVIF: "AVIF", GIF: "GIF", BMP: "BMP", HEIC: "HEIF"}


@dataclass(frozen=True)
class ImageInfo:
    """What the content of a file is: its media type, and its number of pages (1 for all but TIFFs and PDFs)."""

    media_type: str
    pages: int


def inspect(data: bytes) -> ImageInfo:
    """The media type and the number of pages of an image file. Raises UnreadableImage.

    Only the first bytes are read, of a TIFF its directories, of a PDF its list of pages: no decoder sees the image. A
    page that cannot be read counts.
    """
    with _any_error_is_unreadable():
        known = _format(data)
        if known is TIFF:
            return ImageInfo(TIFF.media_type, max(1, len(tiff_pages.pages(data))))
        if known is PDF:
            return ImageInfo(PDF.media_type, max(1, documents.count_pages(data)))
        return ImageInfo(_media_type(known, data), 1)


def decode(data: bytes, page: int | None = None) -> RgbImage:
    """The image of a file, or one page of it, turned as its EXIF orientation demands.

    `page` counts from 1. Deeper samples are scaled to 8 bits, colours with a profile are brought to sRGB, transparency
    is laid on white. Raises UnreadableImage for a damaged file, an unknown format, a missing page and more than
    MAX_PIXELS pixels.
    """
    with _any_error_is_unreadable():
        known = _format(data)
        if known is TIFF:
            return _decode_tiff(data, page)
        if known is PDF:
            _check_page(page, documents.count_pages(data))
            return documents.decode_pdf(data, page or 1)
        _check_page(page, 1)
        return _decode_single(known, data)


def _decode_tiff(data: bytes, page: int | None) -> RgbImage:
    directories = tiff_pages.pages(data)
    _check_page(page, len(directories))
    if not directories:
        raise UnreadableImage("the image is damaged: a TIFF without an image")
    return tiff.decode_page(data, directories[(page or 1) - 1])


def _decode_single(known: ImageFormat, data: bytes) -> RgbImage:
    if known in _DECODERS:
        return _DECODERS[known](data)
    with opened(io.BytesIO(data), [_PILLOW_NAMES[known]]) as image:
        return rgb_of_pillow(image)


def _check_page(page: int | None, pages: int) -> None:
    if page is not None and page > pages:
        raise UnreadableImage(f"page {page} was asked for, the file has {pages}")


def _format(data: bytes) -> ImageFormat:
    if not data:
        raise UnreadableImage("the file is empty")
    known = format_of(data)
    if known is None:
        raise UnreadableImage(f"not an image in a supported format ({FORMAT_NAMES})")
    return CAMERA_RAW if known is TIFF and camera_raw.is_raw(data) else known


def _media_type(known: ImageFormat, data: bytes) -> str:
    if known is JPEG_2000:
        # A bare codestream, or the file format by its brand.
        kinds = {b"jp2 ": "image/jp2", b"jpx ": "image/jpx"}
        return kinds.get(data[20:24], "image/jp2") if data.startswith(b"\x00") else "image/j2c"
    return known.media_type


@contextmanager
def _any_error_is_unreadable() -> Iterator[None]:
    """Decoders of damaged files raise all kinds of errors, among them TypeError, KeyError and RecursionError."""
    try:
        yield
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("the image needs more memory than there is") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage("the image is damaged: its beginning cannot be read") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise UnreadableImage(f"the image is damaged: {_one_line(error)}") from error
    except Exception as error:
        raise UnreadableImage(f"the image is damaged: {type(error).__name__}, {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    """The beginning of an error's text; its type where it has none."""
    if str(error).startswith("decoder error"):
        return f"its pixels cannot be decoded ({error})"
    return " ".join(str(error).split())[:200] or type(error).__name__

"""Images from bytes: every format of models.formats, upright as a person sees it, in 8-bit RGB.

Each format has a module of its own. What holds for all of them: whatever a decoder raises, the image is unreadable,
with a reason, and nothing else.
"""

from __future__ import annotations

import io

import pi_heif

from models import camera_raw, documents, tiff, tiff_pages
from models.contents import ImageInfo, any_error_is_unreadable, content_format, inspect
from models.formats import AVIF, BMP, CAMERA_RAW, GIF, HEIC, JPEG, JPEG_2000, JPEG_XL, PDF, PNG, TIFF, WEBP
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


def decode(data: bytes, page: int | None = None) -> RgbImage:
    """The image of a file, or one page of it, turned as its EXIF orientation demands.

    `page` counts from 1. Deeper samples are scaled to 8 bits, colours with a profile are brought to sRGB, transparency
    is laid on white. Raises UnreadableImage for a damaged file, an unknown format, a missing page and more than
    MAX_PIXELS pixels.
    """
    with any_error_is_unreadable():
        known = content_format(data)
        if known is TIFF:
            return _decode_tiff(data, page)
        if known is PDF:
            _check_page(page, documents.count_pages(data))
            return documents.decode_pdf(data, page or 1)
        _check_page(page, 1)
        if known in _DECODERS:
            return _DECODERS[known](data)
        with opened(io.BytesIO(data), [_PILLOW_NAMES[known]]) as image:
            return rgb_of_pillow(image)


def _decode_tiff(data: bytes, page: int | None) -> RgbImage:
    directories = tiff_pages.pages(data)
    _check_page(page, len(directories))
    if not directories:
        raise UnreadableImage("the image is damaged: a TIFF without an image")
    return tiff.decode_page(data, directories[(page or 1) - 1])


def _check_page(page: int | None, pages: int) -> None:
    if page is not None and page > pages:
        raise UnreadableImage(f"page {page} was asked for, the file has {pages}")

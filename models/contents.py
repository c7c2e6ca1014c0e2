"""What a file is by its content, without decoding it: its format, its media type, and its number of pages.

No decoder is imported here, so the commands that publish scans start quickly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models import tiff_pages
from models.formats import CAMERA_RAW, FORMAT_NAMES, JPEG_2000, PDF, TIFF, ImageFormat, format_of
from models.pixels import UnreadableImage


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
    with any_error_is_unreadable():
        known = content_format(data)
        if known is TIFF:
            return ImageInfo(TIFF.media_type, max(1, len(tiff_pages.pages(data))))
        if known is PDF:
            from models import documents

            return ImageInfo(PDF.media_type, max(1, documents.count_pages(data)))
        return ImageInfo(_media_type(known, data), 1)


def content_format(data: bytes) -> ImageFormat:
    """The format of a file by its content. Raises UnreadableImage for an empty file and an unknown format."""
    if not data:
        raise UnreadableImage("the file is empty")
    known = format_of(data)
    if known is None:
        raise UnreadableImage(f"not an image in a supported format ({FORMAT_NAMES})")
    return CAMERA_RAW if known is TIFF and tiff_pages.is_camera_raw(data) else known


def _media_type(known: ImageFormat, data: bytes) -> str:
    if known is JPEG_2000:
        # A bare codestream, or the file format by its brand.
        kinds = {b"jp2 ": "image/jp2", b"jpx ": "image/jpx"}
        return kinds.get(data[20:24], "image/jp2") if data.startswith(b"\x00") else "image/j2c"
    return known.media_type


@contextmanager
def any_error_is_unreadable() -> Iterator[None]:
    """Decoders of damaged files raise all kinds of errors, among them TypeError, KeyError and RecursionError."""
    try:
        yield
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("the image needs more memory than there is") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise UnreadableImage(f"the image is damaged: {_one_line(error)}") from error
    except Exception as error:
        raise UnreadableImage(f"the image is damaged: {type(error).__name__}, {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    """The beginning of an error's text; its type where it has none."""
    if str(error).startswith("decoder error"):
        return f"its pixels cannot be decoded ({error})"
    return " ".join(str(error).split())[:200] or type(error).__name__

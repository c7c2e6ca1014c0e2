"""The image formats that are read: the one table that messages, help texts and the choice of files derive from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFormat:
    """An image format.

    name: as people write it. pillow: as Pillow names it (`PIL.Image.Image.format`). media_types: the media type by
    file name extension (with the dot, in lower case); used when the content cannot be read.
    """

    name: str
    pillow: str
    media_types: Mapping[str, str]


TIFF = ImageFormat("TIFF", "TIFF", {".tif": "image/tiff", ".tiff": "image/tiff"})
"""The only format whose files are read page by page."""

FORMATS = (
    ImageFormat("JPEG", "JPEG", {".jpg": "image/jpeg", ".jpeg": "image/jpeg"}),
    ImageFormat("PNG", "PNG", {".png": "image/png"}),
    TIFF,
    # A bare codestream (.j2k) and the extended file format (.jpf, .jpx) have media types of their own.
    ImageFormat(
        "JPEG 2000",
        "JPEG2000",
        {".jp2": "image/jp2", ".j2k": "image/j2c", ".jpf": "image/jpx", ".jpx": "image/jpx"},
    ),
    ImageFormat("WebP", "WEBP", {".webp": "image/webp"}),
)

FORMAT_NAMES = ", ".join(image_format.name for image_format in FORMATS)
"""All formats, for messages and help texts."""

MEDIA_TYPES = {suffix: media_type for known in FORMATS for suffix, media_type in known.media_types.items()}
"""Media type by file name extension (with the dot, in lower case), of all formats."""

TIFF_MEDIA_TYPE = TIFF.media_types[".tiff"]
"""The media type of files that may have several pages."""

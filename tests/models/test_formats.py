"""The table of image formats: what is read, what is published, and what help texts and the README name are the same."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from models.formats import (
    AVIF,
    BMP,
    CAMERA_RAW,
    FORMAT_NAMES,
    FORMATS,
    GIF,
    HEIC,
    JPEG,
    JPEG_2000,
    JPEG_XL,
    MEDIA_TYPES,
    PAGED_MEDIA_TYPES,
    PDF,
    PNG,
    TIFF,
    WEBP,
    ImageFormat,
    format_of,
)
from models.images import UnreadableImage, inspect

_PILLOW = {JPEG: "JPEG", PNG: "PNG", TIFF: "TIFF", JPEG_2000: "JPEG2000", WEBP: "WEBP", AVIF: "AVIF", GIF: "GIF"} | {
    BMP: "BMP",
    PDF: "PDF",
}


@pytest.mark.parametrize("known", _PILLOW, ids=lambda known: known.name)
def test_a_file_of_every_format_is_read_and_its_media_type_is_in_the_table(known: ImageFormat) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, _PILLOW[known])
    assert format_of(buffer.getvalue()) is known
    assert inspect(buffer.getvalue()).media_type in known.media_types.values()


def test_formats_that_pillow_does_not_write_are_recognised() -> None:
    assert format_of(bytes(imagecodecs.jpegxl_encode(np.zeros((8, 8, 3), np.uint8)))) is JPEG_XL
    assert format_of(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic") is HEIC
    assert format_of(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif") is AVIF
    assert format_of(b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom") is CAMERA_RAW
    assert {*_PILLOW, JPEG_XL, HEIC, CAMERA_RAW} == set(FORMATS)


def test_a_file_of_another_format_is_refused_by_the_names_of_all() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PPM")
    with pytest.raises(UnreadableImage, match="JPEG, PNG, TIFF, JPEG 2000, WebP, HEIC, AVIF"):
        inspect(buffer.getvalue())


def test_extensions_are_of_one_format_each_and_in_lower_case() -> None:
    assert len(MEDIA_TYPES) == sum(len(known.media_types) for known in FORMATS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in MEDIA_TYPES)
    assert {MEDIA_TYPES[".tif"], MEDIA_TYPES[".tiff"], MEDIA_TYPES[".pdf"]} == PAGED_MEDIA_TYPES


def test_the_readme_names_all_formats() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [known.name for known in FORMATS if known.name not in readme] == []
    assert FORMAT_NAMES.startswith("JPEG, PNG, TIFF, JPEG 2000, WebP")

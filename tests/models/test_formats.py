"""The table of image formats: what is read, what is published, and what help texts and the README name are the same."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from models.formats import FORMAT_NAMES, FORMATS, MEDIA_TYPES, TIFF_MEDIA_TYPE, ImageFormat
from models.images import UnreadableImage, inspect


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_a_file_of_every_format_is_read_and_its_media_type_is_in_the_table(known: ImageFormat) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, known.pillow)
    assert inspect(buffer.getvalue()).media_type in known.media_types.values()


def test_a_file_of_another_format_is_refused_by_the_names_of_all() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "BMP")
    with pytest.raises(UnreadableImage, match="JPEG, PNG, TIFF, JPEG 2000, WebP"):
        inspect(buffer.getvalue())


def test_extensions_are_of_one_format_each_and_in_lower_case() -> None:
    assert len(MEDIA_TYPES) == sum(len(known.media_types) for known in FORMATS) == 10
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in MEDIA_TYPES)
    assert MEDIA_TYPES[".tif"] == MEDIA_TYPES[".tiff"] == TIFF_MEDIA_TYPE


def test_the_readme_names_all_formats() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [known.name for known in FORMATS if known.name not in readme] == []
    assert FORMAT_NAMES == "JPEG, PNG, TIFF, JPEG 2000, WebP"

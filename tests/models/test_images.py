"""Pictures as a person sees them, in 8-bit RGB, from every format an archive scans to."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.images import RgbImage, UnreadableImage, decode, inspect

GRADIENT = np.stack(
    np.broadcast_arrays(np.arange(40)[:, None] * 6, np.arange(60)[None, :] * 4, np.full((40, 60), 90)), axis=2
).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options", "media_type", "off_by"),
    [
        ("PNG", {}, "image/png", 0),
        ("TIFF", {}, "image/tiff", 0),
        ("TIFF", {"compression": "tiff_lzw"}, "image/tiff", 0),
        ("JPEG2000", {"irreversible": False}, "image/jp2", 0),
        ("WEBP", {"lossless": True}, "image/webp", 0),
        ("JPEG", {"quality": 98, "subsampling": 0}, "image/jpeg", 4),
    ],
)
def test_every_format_gives_the_same_picture(kind: str, options: dict[str, Any], media_type: str, off_by: int) -> None:
    data = encoded(Image.fromarray(GRADIENT), kind, **options)
    assert inspect(data).media_type == media_type
    assert np.abs(decode(data).astype(int) - GRADIENT).max() <= off_by


def test_a_picture_lies_as_its_exif_orientation_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(encoded(Image.fromarray(GRADIENT), "PNG", exif=exif.tobytes()))
    assert np.array_equal(turned, np.rot90(GRADIENT, -1))


def test_sixteen_bits_become_eight() -> None:
    deep = (np.arange(40 * 60, dtype=np.uint16) * 27).reshape(40, 60)
    for kind in ("PNG", "TIFF"):
        picture = decode(encoded(Image.fromarray(deep), kind))
        assert picture.dtype == np.uint8
        assert np.abs(picture[:, :, 0].astype(int) - deep / 257).max() <= 1


def test_gray_is_the_same_in_all_three_colours() -> None:
    gray = GRADIENT[:, :, 0]
    expected = np.repeat(gray[:, :, None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        assert_decodes_to(encoded(Image.fromarray(gray), kind), expected)


def test_black_and_white_is_black_and_white() -> None:
    black = np.indices((40, 60)).sum(axis=0) % 3 == 0
    expected = np.repeat(np.where(black, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        assert_decodes_to(encoded(Image.fromarray(~black), kind), expected)


def test_a_palette_gives_the_colours_that_it_holds() -> None:
    colours = np.array([(200, 30, 30), (20, 180, 40), (250, 250, 210)], dtype=np.uint8)
    numbers = (np.indices((40, 60)).sum(axis=0) % 3).astype(np.uint8)
    picture = Image.fromarray(numbers, "P")
    picture.putpalette(colours.tobytes())
    assert_decodes_to(encoded(picture, "PNG"), colours[numbers])


def test_inks_become_the_colours_that_they_print() -> None:
    """Cyan, magenta, yellow and black: each takes its colour away, black all three."""
    inks = np.zeros((40, 60, 4), dtype=np.uint8)
    inks[:, :15, 0] = inks[:, 15:30, 1] = inks[:, 30:45, 2] = inks[:, 45:, 3] = 255
    expected = np.full((40, 60, 3), 255, dtype=np.uint8)
    expected[:, :15, 0] = expected[:, 15:30, 1] = expected[:, 30:45, 2] = expected[:, 45:] = 0
    assert_decodes_to(encoded(Image.fromarray(inks, "CMYK"), "TIFF"), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_half_transparent_is_half_white(mode: str) -> None:
    picture = Image.new(mode, (60, 40), (100, 128) if mode == "LA" else (100, 100, 100, 128))
    assert_decodes_to(encoded(picture, "PNG"), np.full((40, 60, 3), 177, dtype=np.uint8), off_by=1)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_picture_is_as_it_is_without_its_transparency(mode: str) -> None:
    colours = Image.fromarray(GRADIENT).convert("L" if mode == "LA" else "RGB")
    expected = np.asarray(colours.convert("RGB"))
    assert_decodes_to(encoded(colours.convert(mode), "PNG"), expected)


def assert_decodes_to(data: bytes, expected: RgbImage, off_by: int = 0) -> None:
    """8-bit RGB in one piece, each pixel as expected."""
    picture = decode(data)
    assert picture.shape == expected.shape
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - expected).max() <= off_by


def test_what_is_transparent_is_white() -> None:
    assert decode(encoded(Image.new("RGBA", (5, 5), (0, 0, 0, 0)), "PNG")).min() == 255


def test_each_page_of_a_tiff_is_a_picture() -> None:
    pages = [Image.new("RGB", (20, 10), (shade, 0, 0)) for shade in (10, 20, 30)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert inspect(data).pages == 3
    assert [decode(data, page)[0, 0, 0] for page in (1, 2, 3)] == [10, 20, 30]
    with pytest.raises(UnreadableImage, match="page 4 was asked for, the file has 3"):
        decode(data, 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_file_cut_off_is_damaged(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableImage, match=r"damaged|not an image"):
        decode(data[: len(data) // 2])


def test_what_is_no_picture_says_so() -> None:
    with pytest.raises(UnreadableImage, match="the file is empty"):
        decode(b"")
    with pytest.raises(UnreadableImage, match="not an image in a supported format"):
        inspect(b"plain text and so on")

"""Formats besides TIFF: what a decoder leaves to do (profiles, channel definitions, depth, previews) is done."""

from __future__ import annotations

import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import pypdfium2
import pytest
import tifffile
from PIL import Image

from models import jpeg, pixels
from models.images import UnreadableImage, decode, inspect
from models.pixels import RgbImage
from tests.builders.pictures import HEIC, dng, encoded, profile_with_swapped_colours

_ROWS, _COLUMNS = np.mgrid[0:64, 0:96]
COLOURS = np.stack([_ROWS * 4 % 256, _COLUMNS * 2, 255 - _ROWS * 3], axis=2).astype(np.uint8)
GRAY = np.ascontiguousarray(COLOURS[:, :, 1])
COLOURS[0, 0], GRAY[0, 0] = 255, 255
# Typed as returning bytes or a bytearray.
codecs: Any = imagecodecs
QUARTERS = np.zeros((64, 96, 3), dtype=np.uint8)
QUARTERS[:32, :48], QUARTERS[:32, 48:], QUARTERS[32:, :48] = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def assert_shows(data: bytes, expected: RgbImage, off_by: int = 1) -> None:
    image = decode(data)
    assert image.shape == expected.shape
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).max() <= off_by


def test_heic() -> None:
    assert inspect(HEIC).media_type == "image/heic"
    inner = np.s_[4:28, 4:44]
    assert np.abs(decode(HEIC)[inner].astype(int) - QUARTERS[inner]).max() < 12
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(HEIC[:-60])


def test_avif_gif_bmp_and_jpeg_xl() -> None:
    picture = Image.fromarray(QUARTERS)
    assert_shows(encoded(picture, "BMP"), QUARTERS, 0)
    assert_shows(encoded(picture, "AVIF", quality=95, subsampling="4:4:4"), QUARTERS, 30)
    assert_shows(encoded(picture.quantize(8), "GIF"), QUARTERS, 8)
    for values in (COLOURS, COLOURS.astype(np.uint16) * 257, GRAY):
        expected = COLOURS if values.ndim == 3 else np.repeat(GRAY[:, :, None], 3, axis=2)
        for container in (False, True):
            data = codecs.jpegxl_encode(values, lossless=True, usecontainer=container)
            assert inspect(data).media_type == "image/jxl"
            assert_shows(data, expected)
            with pytest.raises(UnreadableImage, match="damaged"):
                decode(data[: len(data) // 2])


def test_of_an_animation_the_first_picture_is_read() -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert inspect(data).pages == 1
        assert np.abs(decode(data)[5, 10].astype(int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("gray", [False, True])
def test_png_and_jpeg_2000_of_many_depths(bits: int, gray: bool) -> None:
    picture = GRAY if gray else COLOURS
    values = np.round(picture * ((2**bits - 1) / 255)).astype(np.uint16)
    expected = np.repeat(GRAY[:, :, None], 3, axis=2) if gray else COLOURS
    assert_shows(codecs.png_encode(values), expected)
    if bits > 8:
        assert_shows(codecs.jpeg2k_encode(values, level=0, bitspersample=bits), expected)
        assert_shows(codecs.jpeg2k_encode(values, level=0), expected)


@pytest.mark.parametrize("deep", [False, True])
def test_an_alpha_channel_that_is_zero_everywhere_hides_nothing(deep: bool) -> None:
    values = np.dstack([COLOURS, np.zeros((64, 96), np.uint8)])
    deep_values = values.astype(np.uint16) * 257
    assert_shows(codecs.png_encode(deep_values if deep else values), COLOURS)
    gray = np.dstack([GRAY, np.zeros((64, 96), np.uint8)])
    assert_shows(codecs.png_encode(gray.astype(np.uint16) * 257 if deep else gray), np.dstack([GRAY] * 3))
    if not deep:
        assert_shows(encoded(Image.fromarray(values), "WEBP", lossless=True, exact=True), COLOURS)
        assert_shows(encoded(Image.fromarray(values), "JPEG2000"), COLOURS)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("deep", [False, True])
def test_half_transparent_is_half_white(mode: str, deep: bool) -> None:
    pixel = [100, 128] if mode == "LA" else [100, 100, 100, 128]
    values = np.broadcast_to(np.array(pixel, np.uint8), (40, 60, len(pixel)))
    png = codecs.png_encode(np.ascontiguousarray(values.astype(np.uint16) * 257 if deep else values))
    assert_shows(png, np.full((40, 60, 3), 177, np.uint8))


def test_channel_definitions_and_sycc_of_jpeg_2000() -> None:
    """Components stored as Cr, Cb, Y, as the channel definitions say (ISO/IEC 15444-1, annex I.5.3.6)."""
    rgb = QUARTERS.astype(float)
    luma = rgb @ (0.299, 0.587, 0.114)
    blue, red = (rgb[:, :, 2] - luma) / 1.772 + 128, (rgb[:, :, 0] - luma) / 1.402 + 128
    stored = np.round(np.dstack([red, blue, luma])).clip(0, 255).astype(np.uint8)
    codestream = codecs.jpeg2k_encode(stored, level=0, codecformat="j2k", mct=False)
    definitions = struct.pack(">H9H", 3, *(0, 0, 3), *(1, 0, 2), *(2, 0, 1))
    header = (
        _box(b"ihdr", struct.pack(">LLHBBBB", 64, 96, 3, 7, 7, 0, 0))
        + _box(b"colr", struct.pack(">BBBL", 1, 0, 0, 18))
        + _box(b"cdef", definitions)
    )
    signature = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    data = signature + _box(b"jp2h", header) + _box(b"jp2c", codestream)
    assert inspect(data).media_type == "image/jp2"
    assert_shows(data, QUARTERS, 3)
    assert inspect(codestream).media_type == "image/j2c"


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_a_jpeg_2000_of_few_bits_uses_the_whole_scale(bits: int) -> None:
    values = (GRAY >> (8 - bits)).astype(np.uint8)
    expected = np.round(values * (255 / (2**bits - 1)))
    assert_shows(codecs.jpeg2k_encode(values, level=0, bitspersample=bits), np.dstack([expected] * 3).astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("gray", [False, True])
def test_a_profile_in_a_jpeg_2000_is_applied_once(bits: int, gray: bool) -> None:
    values = (GRAY if gray else COLOURS).astype(np.uint8 if bits == 8 else np.uint16) * (1 if bits == 8 else 257)
    channels = 1 if gray else 3
    profile = _box(b"colr", struct.pack(">BBB", 2, 0, 0) + profile_with_swapped_colours())
    header = _box(b"ihdr", struct.pack(">LLHBBBB", 64, 96, channels, bits - 1, 7, 0, 0)) + profile
    data = (
        _box(b"jP  ", b"\r\n\x87\n")
        + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + _box(b"jp2h", header)
        + _box(b"jp2c", codecs.jpeg2k_encode(values, level=0, codecformat="j2k"))
    )
    assert_shows(data, np.dstack([GRAY] * 3) if gray else np.ascontiguousarray(COLOURS[:, :, ::-1]), 3)


@pytest.mark.parametrize("bits", [12, 13, 16])
@pytest.mark.parametrize("gray", [False, True])
def test_a_jpeg_of_more_than_eight_bits_is_read_upright(bits: int, gray: bool) -> None:
    values = np.round((GRAY if gray else COLOURS) * ((2**bits - 1) / 255)).astype(np.uint16)
    data = codecs.jpeg8_encode(values, lossless=True, bitspersample=bits)
    expected = np.dstack([GRAY] * 3) if gray else COLOURS
    assert_shows(data, expected)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert_shows(turned, np.ascontiguousarray(expected[::-1, ::-1]))
    with pytest.raises(UnreadableImage, match="damaged: the file ends before the picture"):
        decode(data[:-40])


def test_the_reason_for_another_process_of_jpeg_names_it() -> None:
    with pytest.raises(UnreadableImage, match=r"a JPEG of a kind that is not read \(JPEG-LS\)"):
        decode(codecs.jpegls_encode(COLOURS))
    for beginning in (b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\xff\xff", b"\xff\xd8\xff\xc0\0"):
        with pytest.raises(UnreadableImage, match="the image is damaged: a JPEG without a frame"):
            decode(beginning)


def test_a_palette_without_any_opaque_colour_hides_nothing() -> None:
    picture = Image.fromarray(COLOURS).quantize(200)
    expected = np.asarray(picture.convert("RGB"))
    assert_shows(encoded(picture, "PNG", transparency=bytes(256)), expected)
    assert_shows(encoded(picture, "PNG", transparency=bytes([0] * 255 + [255])), expected)
    half = decode(encoded(picture, "PNG", transparency=bytes([0] * 100)))
    assert (half == 255).all(axis=2).mean() > 0.1


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "JPEG2000", "AVIF"])
def test_profiles_are_applied(kind: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100},
    }
    red = Image.new("RGB", (40, 30), (220, 20, 30))
    data = encoded(red, kind, icc_profile=profile_with_swapped_colours(), **options.get(kind, {}))
    if kind == "JPEG2000":
        pytest.skip("Pillow writes no profile into a JPEG 2000")
    assert_shows(data, np.broadcast_to(np.array((30, 20, 220), np.uint8), (30, 40, 3)), 8)


def test_a_profile_that_is_damaged_or_of_other_colours_is_ignored() -> None:
    for profile in (b"no profile at all", profile_with_swapped_colours()[:200]):
        assert_shows(encoded(Image.fromarray(QUARTERS), "PNG", icc_profile=profile), QUARTERS, 0)


def test_sixteen_bits_with_a_profile() -> None:
    buffer = io.BytesIO()
    values = np.broadcast_to(np.array((220, 20, 30), np.uint16) * 257, (30, 40, 3))
    tifffile.imwrite(buffer, np.ascontiguousarray(values), photometric="rgb", iccprofile=profile_with_swapped_colours())
    assert_shows(buffer.getvalue(), np.broadcast_to(np.array((30, 20, 220), np.uint8), (30, 40, 3)), 2)


def test_pages_of_a_pdf_made_of_one_image() -> None:
    pages = [Image.fromarray(np.full((200, 300, 3), shade, np.uint8)) for shade in (10, 100, 200)]
    data = encoded(pages[0], "PDF", save_all=True, append_images=pages[1:], resolution=150)
    assert (inspect(data).media_type, inspect(data).pages) == ("application/pdf", 3)
    for number, shade in ((1, 10), (2, 100), (3, 200)):
        image = decode(data, number)
        assert abs(image.shape[0] - 200) <= 1 and abs(image.shape[1] - 300) <= 1
        assert np.abs(image[5:-5, 5:-5].astype(int) - shade).max() <= 2
    with pytest.raises(UnreadableImage, match="page 4 was asked for, the file has 3"):
        decode(data, 4)


def test_other_pages_of_a_pdf_are_refused_with_what_they_are() -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(300, 200)
    buffer = io.BytesIO()
    document.save(buffer)
    with pytest.raises(UnreadableImage, match="page 1 of this PDF is made of 0 images"):
        decode(buffer.getvalue())
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(b"%PDF-1.7 and so on")


def test_a_camera_raw_is_read_by_its_preview_upright() -> None:
    preview = np.full((700, 1000, 3), 128, np.uint8)
    preview[:, :500, 0] = 200
    sensor = np.random.default_rng(1).integers(500, 4500, (800, 1200)).astype(np.uint16)
    data = dng(preview, sensor)
    assert inspect(data).media_type == "image/x-adobe-dng"
    assert inspect(data).pages == 1
    assert decode(data).shape == (700, 1000, 3)
    assert np.abs(decode(data)[100, 100].astype(int) - 200).max() < 8
    turned = decode(dng(preview, sensor, orientation=6))
    assert turned.shape == (1000, 700, 3)
    assert np.abs(turned[100, 100].astype(int) - 200).max() < 8


def test_a_camera_raw_with_a_thumbnail_only_is_developed() -> None:
    sensor = np.random.default_rng(1).integers(500, 4500, (800, 1200)).astype(np.uint16)
    assert decode(dng(np.zeros((96, 160, 3), np.uint8), sensor)).shape == (800, 1200, 3)


def test_the_name_of_a_file_plays_no_part_and_its_first_bytes_do() -> None:
    assert inspect(encoded(Image.fromarray(QUARTERS), "BMP")).media_type == "image/bmp"
    with pytest.raises(UnreadableImage, match="not an image in a supported format"):
        decode(b"BM is how this text begins, which is no bitmap")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}, {"restart_marker_blocks": 3}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_large_jpegs_have_the_pixels_of_small_ones(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], mode: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(np.random.default_rng(2).integers(0, 256, (200, 300, 3), np.uint8)).convert(mode)
    data = encoded(picture, "JPEG", exif=exif.tobytes(), **options)
    small = decode(data)
    monkeypatch.setattr(jpeg, "_LARGE", 100)
    assert np.array_equal(decode(data), small)
    assert np.array_equal(decode(data + b"trailing bytes"), small)
    for end in (len(data) // 2, len(data) - 40):
        with pytest.raises(UnreadableImage, match="damaged: the file ends before the picture"):
            decode(data[:end])


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "TIFF", "WEBP", "JPEG2000", "AVIF", "GIF", "BMP", "JXL", "HEIC", "PDF"]
)
def test_too_many_pixels_are_refused_with_the_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MAX_PIXELS", 2_000)
    picture = Image.fromarray(QUARTERS)
    special = {"JXL": codecs.jpegxl_encode(QUARTERS), "HEIC": HEIC}
    data = special[kind] if kind in special else encoded(picture, kind)
    with pytest.raises(UnreadableImage, match=r"\d+ x \d+ pixels, at most 2,000 are taken"):
        decode(data)


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (8, 8), (96, 64), (97, 33), (256, 8), (300, 200), (400, 300), (1600, 900), (20, 10)]
)
def test_the_size_of_a_jpeg_xl_is_read_before_its_pixels(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = codecs.jpegxl_encode(np.zeros((height, width), np.uint8))
    monkeypatch.setattr(pixels, "MAX_PIXELS", 0)
    with pytest.raises(UnreadableImage, match=f"^{width} x {height} pixels"):
        decode(data)


@pytest.mark.parametrize(
    "error",
    [TypeError("x"), KeyError("x"), RecursionError("x"), MemoryError(), struct.error("x"), ZeroDivisionError("x")],
)
def test_whatever_a_decoder_raises_is_an_unreadable_image(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    data = encoded(Image.fromarray(QUARTERS), "JPEG")
    monkeypatch.setattr("models.jpeg.rgb_of_pillow", failing)
    with pytest.raises(UnreadableImage, match=r"damaged|more memory than there is"):
        decode(data)

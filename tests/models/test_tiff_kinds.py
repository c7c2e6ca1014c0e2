"""Every kind of TIFF shows the picture that was stored in it."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from models.images import UnreadableImage, decode, inspect
from models.pixels import RgbImage
from tests.builders.tiffs import (
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    Directory,
    packed,
    sgilog_literal,
    tiff,
)

_ROWS, _COLUMNS = np.mgrid[0:40, 0:60]
GRAY = ((_ROWS * 3 + _COLUMNS * 2) % 256).astype(np.uint8)
COLOURS = np.stack([(_ROWS * 6) % 256, (_COLUMNS * 4) % 256, 255 - GRAY.astype(int)], axis=2).astype(np.uint8)
# From black to white, so that it uses all of its scale.
GRAY[0, 0], GRAY[0, 1], COLOURS[0, 0], COLOURS[0, 1] = 0, 255, 0, 255


def written(values: npt.NDArray[Any], **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    options.setdefault("photometric", "minisblack" if values.ndim == 2 else "rgb")
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def in_colour(gray: npt.NDArray[Any]) -> RgbImage:
    return np.repeat(gray.astype(np.uint8)[:, :, None], 3, axis=2)


def assert_shows(data: bytes, expected: RgbImage, off_by: float = 1) -> None:
    assert inspect(data).pages == 1
    image = decode(data)
    assert image.shape == expected.shape
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected).max() <= off_by


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma", "jpeg2000"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_by_pixel_and_in_planes(compression: str | None, planar: str, dtype: type[np.integer]) -> None:
    values = COLOURS.astype(dtype) * (1 if dtype is np.uint8 else 257)
    if planar == "separate":
        values = values.transpose(2, 0, 1)
    data = written(values, compression=compression, planarconfig=planar, photometric="rgb")
    assert_shows(data, COLOURS, off_by=2 if compression == "jpeg2000" else 0)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_gray_of_every_depth_packed(bits: int, white_is_zero: bool) -> None:
    full = 2**bits - 1
    values = np.round(GRAY * (full / 255.0)).astype(np.int64)
    expected = np.round(values * (255.0 / full))
    stored = full - values if white_is_zero else values
    if bits in (24, 32):
        strip = b"".join(int(value).to_bytes(bits // 8, "little") for value in stored.ravel())
    else:
        strip = stored.astype("<u2").tobytes() if bits == 16 else packed(stored, bits)
    data = tiff(Directory(60, 40, [strip], {BITS: [bits], PHOTOMETRIC: [0 if white_is_zero else 1]}))
    assert_shows(data, in_colour(expected))


@pytest.mark.parametrize("bits", [4, 10, 12, 14])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_of_every_depth_packed(bits: int, planar: bool) -> None:
    full = 2**bits - 1
    values = np.round(COLOURS * (full / 255.0)).astype(np.int64)
    strips = (
        [packed(values[:, :, channel], bits) for channel in range(3)]
        if planar
        else [packed(values.reshape(40, -1), bits)]
    )
    tags = {BITS: [bits] * 3, PHOTOMETRIC: [2], SAMPLES: [3], PLANAR: [2 if planar else 1], 278: [40]}
    data = tiff(Directory(60, 40, strips, tags))
    assert_shows(data, np.round(values * (255.0 / full)).astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 9, 10, 11, 12, 13, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_few_bits_in_words_of_sixteen(bits: int, photometric: str) -> None:
    picture = COLOURS if photometric == "rgb" else GRAY
    values = np.round(picture * ((2**bits - 1) / 255)).astype(np.uint16)
    if photometric == "miniswhite":
        values = np.uint16(2**bits - 1) - values
    assert_shows(written(values, photometric=photometric), COLOURS if photometric == "rgb" else in_colour(GRAY))


def test_a_narrow_range_in_the_middle_of_an_unknown_scale_is_a_picture() -> None:
    values = (1290 + GRAY.astype(np.uint16)).astype(np.uint16)
    assert_shows(written(values), in_colour(GRAY))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (GRAY.astype(np.int16) - 128, GRAY),
        ((GRAY.astype(np.int32) * 257 - 32768).astype(np.int16), GRAY),
        ((GRAY.astype(np.int16) * 128).astype(np.int16), GRAY),
        ((GRAY.astype(np.int16) - 128).astype(np.int8), GRAY),
        (GRAY.astype(np.int32), GRAY),
        (GRAY.astype(np.uint32) * 16843009, GRAY),
        (GRAY.astype(np.uint32) * 257, GRAY),
        (GRAY.astype(np.float32) / 255, GRAY),
        (GRAY.astype(np.float16) / 255, GRAY),
        (GRAY.astype(np.float64), GRAY),
        (GRAY.astype(np.float32) * 257, GRAY),
        (GRAY.astype(np.float32) / 127.5 - 1, GRAY),
        (GRAY.astype(np.uint64), GRAY),
    ],
)
def test_signed_wide_and_float_samples(values: npt.NDArray[Any], expected: npt.NDArray[np.uint8]) -> None:
    assert_shows(written(values), in_colour(expected), off_by=2)


def test_a_float_that_is_no_number_is_black() -> None:
    values = GRAY.astype(np.float32) / 255
    values[5, 5] = np.nan
    expected = in_colour(GRAY)
    expected[5, 5] = 0
    assert_shows(written(values), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("gray", [True, False])
def test_transparency_is_laid_on_white(dtype: type[np.integer], planar: str, kind: str, gray: bool) -> None:
    factor = 1 if dtype is np.uint8 else 257
    picture = GRAY[:, :, None] if gray else COLOURS
    alpha = np.full((40, 60, 1), 128)
    alpha[0] = 255
    stored = np.round(picture * (alpha / 255)) if kind == "assocalpha" else picture
    values = (np.concatenate([stored, alpha], axis=2) * factor).astype(dtype)
    if planar == "separate":
        values = values.transpose(2, 0, 1)
    data = written(values, planarconfig=planar, extrasamples=[kind], photometric="minisblack" if gray else "rgb")
    expected = picture if kind == "unspecified" else np.round(picture * (alpha / 255) + 255 - alpha)
    assert_shows(data, np.broadcast_to(expected, (40, 60, 3)).astype(np.uint8), off_by=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_alpha_channel_that_is_zero_everywhere_hides_nothing(dtype: type[np.integer]) -> None:
    values = np.dstack([COLOURS, np.zeros((40, 60), dtype=np.uint8)]).astype(dtype) * (1 if dtype is np.uint8 else 257)
    assert_shows(written(values.astype(dtype), extrasamples=["unassalpha"]), COLOURS)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_inks(dtype: type[np.integer], planar: str) -> None:
    inks = np.dstack([255 - COLOURS, np.zeros((40, 60), dtype=np.uint8)]).astype(dtype)
    values = (inks * (1 if dtype is np.uint8 else 257)).astype(dtype)
    if planar == "separate":
        values = values.transpose(2, 0, 1)
    assert_shows(written(values, photometric="separated", planarconfig=planar), COLOURS)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palettes(bits: int) -> None:
    colours = np.random.default_rng(3).integers(0, 256, (2**bits, 3))
    colours[0], colours[-1] = 0, 255
    numbers = (_ROWS + _COLUMNS) % 2**bits
    colormap = (colours.T * 257).ravel().tolist()
    tags = {BITS: [bits], PHOTOMETRIC: [3], 320: colormap}
    assert_shows(tiff(Directory(60, 40, [packed(numbers, bits)], tags)), colours[numbers].astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
def test_cielab(bits: int) -> None:
    """Gray at L* 50 is 119 in sRGB; the red, green and blue of sRGB have these L*a*b* with the white point D50."""
    colours = {
        (50, 0, 0): (119, 119, 119),
        (100, 0, 0): (255, 255, 255),
        (54.29, 80.81, 69.89): (255, 0, 0),
        (87.82, -79.29, 80.99): (0, 255, 0),
        (29.57, 68.30, -112.03): (0, 0, 255),
    }
    unit = 2 ** (bits - 8)
    for lab, rgb in colours.items():
        stored = [round(lab[0] / 100 * (2**bits - 1)), round(lab[1] * unit) % 2**bits, round(lab[2] * unit) % 2**bits]
        values = np.broadcast_to(np.array(stored, dtype=f"<u{bits // 8}"), (40, 60, 3))
        tags = {BITS: [bits] * 3, PHOTOMETRIC: [8], SAMPLES: [3]}
        data = tiff(Directory(60, 40, [values.tobytes()], tags))
        assert_shows(data, np.broadcast_to(np.array(rgb, dtype=np.uint8), (40, 60, 3)), off_by=10 if bits == 8 else 4)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)])
@pytest.mark.parametrize("compressed", [False, True])
def test_subsampled_ycbcr_without_jpeg(subsampling: tuple[int, int], compressed: bool) -> None:
    """One colour in blocks of luma: gray levels survive any subsampling of the chroma."""
    across, down = subsampling
    blocks = GRAY.reshape(40 // down, down, 60 // across, across).transpose(0, 2, 1, 3).reshape(-1, across * down)
    chroma = np.full((len(blocks), 2), 128, dtype=np.uint8)
    strip = np.concatenate([blocks, chroma], axis=1).tobytes()
    if compressed:
        strip = zlib.compress(strip)
    tags = {BITS: [8, 8, 8], PHOTOMETRIC: [6], SAMPLES: [3], 530: [across, down], COMPRESSION: [8 if compressed else 1]}
    assert_shows(tiff(Directory(60, 40, [strip], tags)), in_colour(GRAY), off_by=2)


def test_logluv_and_logl() -> None:
    """L = 2 ** ((code + 0.5) / 256 - 64): half of white, which sRGB's gamma of 2 shows as 0.707 (Ward Larson 1998)."""
    half = round(256 * (np.log2(0.5) + 64) - 0.5)
    white_u, white_v = round(410 * 0.1978), round(410 * 0.4683)
    gray = np.full((40, 60), half)
    luv = gray << 16 | white_u << 8 | white_v
    log_l = tiff(Directory(60, 40, [sgilog_literal(gray, 2)], {BITS: [16], COMPRESSION: [34676], PHOTOMETRIC: [32844]}))
    tags = {BITS: [16, 16, 16], SAMPLES: [3], COMPRESSION: [34676], PHOTOMETRIC: [32845]}
    log_luv = tiff(Directory(60, 40, [sgilog_literal(luv, 4)], tags))
    for data in (log_l, log_luv):
        assert np.abs(decode(data).astype(int) - 181).max() <= 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation(orientation: int, dtype: type[np.integer]) -> None:
    stored = {
        1: COLOURS,
        2: COLOURS[:, ::-1],
        3: COLOURS[::-1, ::-1],
        4: COLOURS[::-1],
        5: COLOURS.swapaxes(0, 1),
        6: np.rot90(COLOURS),
        7: COLOURS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(COLOURS, -1),
    }[orientation]
    values = np.ascontiguousarray(stored).astype(dtype) * (1 if dtype is np.uint8 else 257)
    assert_shows(written(values.astype(dtype), extratags=[(274, 3, 1, orientation, True)]), COLOURS)


def test_the_lowest_bit_first() -> None:
    strip = bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed(GRAY // 255, 1))
    data = tiff(Directory(60, 40, [strip], {BITS: [1], 266: [2]}))
    assert_shows(data, in_colour(GRAY // 255 * 255))


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (16, 16)},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"rowsperstrip": 7},
        {"predictor": True, "compression": "lzw"},
    ],
)
def test_tiles_big_endian_and_bigtiff(options: dict[str, Any]) -> None:
    assert_shows(written(COLOURS.astype(np.uint16) * 257, **options), COLOURS)


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({COMPRESSION: [34891]}, "compression 34891"),
        ({PHOTOMETRIC: [51177]}, "DEPTH_MAP"),
        ({PHOTOMETRIC: [99]}, "colours 99"),
        ({BITS: [64], 339: [6]}, "complex"),
    ],
)
def test_a_kind_that_is_not_read_is_named(tags: dict[int, list[int]], kind: str) -> None:
    data = tiff(Directory(60, 40, [bytes(60 * 40 * 8)], tags))
    with pytest.raises(UnreadableImage, match="a TIFF of a kind that is not read") as refused:
        decode(data)
    assert kind in str(refused.value)


def test_a_strip_that_is_cut_off_is_damage() -> None:
    data = written(COLOURS.astype(np.uint16) * 257, compression="zlib")
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(data[: len(data) // 2])
    whole = tiff(Directory(60, 40, [GRAY.astype("<u2").tobytes()], {BITS: [16], 279: [10**6]}))
    with pytest.raises(UnreadableImage, match="damaged: strip 0 of 1"):
        decode(whole)


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_of_24_bits(order: str) -> None:
    planes = [GRAY] * 3  # v * 0x010101
    data = tiff(Directory(60, 40, [np.dstack(planes).tobytes()], {BITS: [24]}), order=order)
    assert_shows(data, in_colour(GRAY))


def test_a_palette_whose_colours_have_8_bits() -> None:
    palette = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)])
    expected = palette.T[GRAY].astype(np.uint8)
    for unit in (1, 257):
        assert_shows(written(GRAY, photometric="palette", colormap=(palette * unit).astype(np.uint16)), expected)
    two = {BITS: [1], PHOTOMETRIC: [3], 320: [0, 65535, 0, 65535, 0, 65535]}
    lit = GRAY > 127
    assert_shows(tiff(Directory(60, 40, [np.packbits(lit, axis=1).tobytes()], two)), in_colour(lit * 255))


def test_lightness_alone_is_gray() -> None:
    ramp = tiff(Directory(60, 40, [GRAY.tobytes()], {PHOTOMETRIC: [8]}))
    image = decode(ramp)
    assert np.ptp(image, axis=2).max() <= 1
    assert (image[0, 0] == 0).all() and (image[0, 1] == 255).all()


def test_what_a_map_marks_as_not_measured_does_not_set_the_scale() -> None:
    values = (GRAY / 255).astype(np.float32)
    values[5:8, 5:8] = np.finfo(np.float32).min
    image = decode(written(values))
    assert (image[6, 6] == 0).all()
    assert np.abs(image[10:].astype(int) - in_colour(GRAY)[10:]).max() <= 1


def test_kinds_that_are_not_read_are_not_called_damaged() -> None:
    words = COLOURS.astype("<u2") * 257
    kinds = {
        "16-bit, YCBCR, NONE": {PHOTOMETRIC: [6], 530: [1, 1]},
        "samples of different formats": {PHOTOMETRIC: [8], 339: [1, 2, 2]},
    }
    for reason, tags in kinds.items():
        data = tiff(Directory(60, 40, [words.tobytes()], {BITS: [16] * 3, SAMPLES: [3], **tags}))
        with pytest.raises(UnreadableImage, match=rf"a TIFF of a kind that is not read \({reason}\)"):
            decode(data)

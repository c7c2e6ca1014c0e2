"""Which images of a TIFF are pages: not its thumbnails, masks and the levels of its pyramid, and every other one."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from models.images import UnreadableImage, decode, inspect
from tests.builders.tiffs import Directory, tiff


def page(width: int, height: int, tags: dict[int, list[int]] | None = None, shade: int = 0) -> Directory:
    return Directory(width, height, [bytes([shade]) * (width * height)], tags or {})


def pages(*directories: Directory) -> int:
    return inspect(tiff(*directories)).pages


REDUCED, PAGE, MASK = {254: [1]}, {254: [2]}, {254: [4], 262: [4]}
TILED = {322: [256], 323: [256]}


@pytest.mark.parametrize("mark", [REDUCED, MASK, {255: [2]}, {254: [5]}, {262: [4]}])
def test_what_is_marked_is_no_page(mark: dict[int, list[int]]) -> None:
    assert pages(page(600, 400), page(150, 90, mark)) == 1
    assert pages(page(150, 90, mark), page(600, 400)) == 1
    assert pages(page(600, 400), page(150, 90, mark), page(600, 400), page(150, 90, mark)) == 2


def test_pages_marked_as_such_are_pages() -> None:
    assert pages(page(600, 400, PAGE), page(600, 400, PAGE), page(300, 200, PAGE)) == 3


def test_a_pyramid_without_marks_is_one_page() -> None:
    levels = [(1201, 800), (601, 400), (300, 200), (150, 100)]
    assert pages(*(page(*size) for size in levels)) == 1
    assert pages(*(page(*size, TILED) for size in levels[:2])) == 1
    assert pages(*(page(*size) for size in levels), *(page(*size) for size in levels)) == 2


def test_a_thumbnail_without_a_mark_is_no_page() -> None:
    assert pages(page(640, 480), page(160, 120)) == 1
    assert pages(page(640, 480), page(160, 120), page(500, 480), page(167, 160)) == 2


@pytest.mark.parametrize(
    "sizes",
    [
        [(1728, 1087), (1728, 1089), (1728, 1090)],
        [(600, 400), (400, 600), (300, 300)],
        [(1200, 800), (600, 400)],
        [(600, 400), (200, 200)],
        [(600, 400)] * 3,
        [(200, 100), (600, 300)],
    ],
)
def test_scans_of_all_sizes_are_pages(sizes: list[tuple[int, int]]) -> None:
    assert pages(*(page(*size) for size in sizes)) == len(sizes)


def test_a_picture_below_a_reduced_one_is_the_page() -> None:
    data = tiff(Directory(150, 100, [bytes(15000)], REDUCED, sub=[page(600, 400, {254: [0]}, shade=77)]))
    assert inspect(data).pages == 1
    assert decode(data).shape == (400, 600, 3)
    assert decode(data).max() == 77


def test_levels_in_sub_directories_are_no_pages() -> None:
    data = tiff(Directory(600, 400, [bytes(240000)], {}, sub=[page(300, 200, REDUCED), page(150, 100)]))
    assert inspect(data).pages == 1
    assert decode(data).shape == (400, 600, 3)


def test_pages_are_counted_over_what_is_no_page() -> None:
    data = tiff(page(600, 400, shade=1), page(60, 40, REDUCED), page(500, 400, shade=2), page(50, 40, REDUCED))
    assert [decode(data, number).max() for number in (1, 2)] == [1, 2]
    with pytest.raises(UnreadableImage, match="page 3 was asked for, the file has 2"):
        decode(data, 3)


@pytest.mark.parametrize(
    "bad",
    [
        page(300, 200, {259: [34891]}),
        page(300, 200, {273: [10**8]}),
        page(0, 0),
        page(300, 200, {259: [5]}),
        page(300, 200, {258: [7], 339: [9]}),
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_page_that_cannot_be_read_costs_only_itself(bad: Directory, position: int) -> None:
    good = [page(300, 200, shade=10), page(310, 200, shade=20)]
    data = tiff(*good[:position], bad, *good[position:])
    assert inspect(data).pages == 3
    seen = []
    for number in (1, 2, 3):
        try:
            seen.append(decode(data, number).max())
        except UnreadableImage:
            seen.append(None)
    assert seen == [*[10, 20][:position], None, *[10, 20][position:]]


def test_a_chain_that_breaks_off_shows_one_page_more_that_cannot_be_read() -> None:
    data = bytearray(tiff(page(60, 40), page(60, 41), page(60, 42)))
    first = struct.unpack_from("<L", data, 4)[0]
    second = struct.unpack_from("<L", data, first + 2 + 12 * struct.unpack_from("<H", data, first)[0])[0]
    struct.pack_into("<H", data, second, 60000)
    assert inspect(bytes(data)).pages == 2
    assert decode(bytes(data), 1).shape == (40, 60, 3)
    with pytest.raises(UnreadableImage, match="its directory has 60,000 entries"):
        decode(bytes(data), 2)


def test_a_chain_that_leads_back_ends() -> None:
    data = bytearray(tiff(page(60, 40), page(60, 41)))
    first = struct.unpack_from("<L", data, 4)[0]
    struct.pack_into("<L", data, len(data) - 4, first)
    assert inspect(bytes(data)).pages == 2


def test_a_number_without_meaning_behind_the_only_page_is_nothing() -> None:
    data = bytearray(tiff(page(60, 40)))
    struct.pack_into("<L", data, len(data) - 4, 0xFFFF_FFF0)
    assert inspect(bytes(data)).pages == 1
    assert decode(bytes(data)).shape == (40, 60, 3)


def test_what_libraries_write_as_pages_and_pyramids() -> None:
    shades = [np.full((60, 80), shade, dtype=np.uint8) for shade in (10, 20, 30)]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=True) as writer:
        for shade in shades:
            writer.write(shade, photometric="minisblack", metadata=None)
    assert [decode(buffer.getvalue(), number).max() for number in (1, 2, 3)] == [10, 20, 30]
    frames = [Image.fromarray(shade) for shade in shades]
    saved = io.BytesIO()
    frames[0].save(saved, "TIFF", save_all=True, append_images=frames[1:], compression="tiff_lzw")
    assert inspect(saved.getvalue()).pages == 3
    levels: Any = io.BytesIO()
    with tifffile.TiffWriter(levels) as writer:
        writer.write(np.zeros((512, 512), np.uint8), subifds=1, tile=(64, 64), metadata=None)
        writer.write(np.zeros((256, 256), np.uint8), subfiletype=1, tile=(64, 64), metadata=None)
    assert inspect(levels.getvalue()).pages == 1


def test_a_chain_of_very_many_directories_is_refused_and_one_of_many_is_read() -> None:
    def chain(count: int) -> bytes:
        """Directories of a size only, each of another one, all of them small enough for thumbnails."""
        size = 2 + 2 * 12 + 4
        directories = [
            struct.pack("<HHHLLHHLLL", 2, *(256, 4, 1, 1 + n % 251), *(257, 4, 1, 1 + n // 251), 8 + size * (n + 1))
            for n in range(count)
        ]
        return b"II*\0\x08\0\0\0" + b"".join(directories)[:-4] + bytes(4)

    assert inspect(chain(9_999)).pages > 1
    for count in (10_001, 1_000_000):
        with pytest.raises(UnreadableImage, match="more than 10,000 pages"):
            inspect(chain(count))

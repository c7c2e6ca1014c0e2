"""The directories of a TIFF (TIFF 6.0, section 2, and BigTIFF), and which of them are pages.

Own code, because the pages of a damaged file have to be counted too, without opening any image. Not a page is what a
writer marks as a reduced image or a mask (NewSubfileType), and what is a smaller copy by its size without such a mark:
the levels of a pyramid, and a thumbnail. Images in SubIFDs are never pages, unless nothing else is one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from models.pixels import UnreadableImage

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, ORIENTATION, SAMPLES, PLANAR, TILE_WIDTH, SUB_IFDS = 266, 274, 277, 284, 322, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, DNG_VERSION = 338, 339, 50706
_WANTED = {
    *(NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, ORIENTATION, SAMPLES),
    *(PLANAR, TILE_WIDTH, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG_VERSION),
}
# The codes of the field types that are whole numbers, by struct's letters: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_MOST_VALUES = 64
_MOST_ENTRIES = 4096
_MOST_PAGES = 10_000
# A thumbnail is compared with so many of the sizes before it: all with all would take hours in a hostile file.
_MOST_COMPARED = 32

# Values of PhotometricInterpretation (DNG 1.6) and Compression (Nikon, Sony, Pentax, Samsung) of sensor data.
_SENSOR_COLOURS = {32803, 34892}
_SENSOR_COMPRESSIONS = {34713, 32767, 32769, 32770, 65535}
_REDUCED, _MASK = 1, 4
_Kind = tuple[tuple[int, int], int, Sequence[int] | None]
# The longer side of a thumbnail, in pixels, that is recognised without a mark.
_LARGEST_THUMBNAIL = 256


@dataclass(frozen=True)
class Directory:
    """An image file directory: where it lies in the file, and the whole numbers of the tags that matter here.

    broken: why it cannot be read; None for one that can.
    """

    offset: int
    tags: Mapping[int, Sequence[int]] = field(default_factory=dict)
    broken: str | None = None

    def value(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        values = self.tags.get(tag)
        return values[0] if values else default

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0 where a tag is missing."""
        return self.value(WIDTH), self.value(HEIGHT)


@dataclass(frozen=True)
class _Layout:
    """How the numbers of a file are written: struct's byte order, and the sizes of BigTIFF or of the classic form."""

    order: str
    big: bool

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "L"))

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHL4s"))

    @property
    def first(self) -> int:
        """Where the offset of the first directory is written."""
        return 8 if self.big else 4


def pages(data: bytes) -> list[Directory]:
    """The directories of the pages of a TIFF, in order; those that cannot be read are among them.

    Raises UnreadableImage where not even the first can be found.
    """
    layout = _layout(data)
    chain = list(_chain(data, layout))
    found: list[Directory] = []
    earlier: dict[_Kind, Directory] = {}
    for number, directory in enumerate(chain):
        if directory.broken or not (_is_marked(directory) or _is_smaller_copy(chain, number, earlier.values())):
            found.append(directory)
        # One of each kind, the latest last.
        earlier.pop(_kind(directory), None)
        earlier[_kind(directory)] = directory
        if len(earlier) > _MOST_COMPARED:
            del earlier[next(iter(earlier))]
    if any(not directory.broken for directory in found):
        return found
    # All are marked as reduced: the picture is in a SubIFD, or the largest is all there is.
    below = [sub for directory in chain for sub in sub_directories(data, directory)]
    whole = [sub for sub in below if not sub.broken and not _is_marked(sub) and min(sub.size) > 0]
    reduced = [entry for entry in chain if not entry.broken and not entry.value(NEW_SUBFILE_TYPE) & _MASK]
    return found + (whole or sorted(reduced, key=lambda directory: -directory.size[0] * directory.size[1])[:1])


def is_camera_raw(data: bytes) -> bool:
    """Whether a TIFF is a camera raw: it has sensor data, or is a DNG."""
    if data[8:10] == b"CR":
        return True
    try:
        first = list(islice(_chain(data, _layout(data)), 4))
        below = [sub for directory in first for sub in sub_directories(data, directory)]
    except (UnreadableImage, struct.error):
        return False
    return any(
        DNG_VERSION in directory.tags
        or directory.value(PHOTOMETRIC) in _SENSOR_COLOURS
        or directory.value(COMPRESSION) in _SENSOR_COMPRESSIONS
        for directory in (*first, *below)
    )


def sub_directories(data: bytes, directory: Directory) -> list[Directory]:
    """The directories that the SubIFDs of a directory name."""
    layout = _layout(data)
    return [_read(data, layout, offset)[0] for offset in directory.tags.get(SUB_IFDS, ())]


def redirected_header(data: bytes, directory: Directory) -> bytes:
    """The header of the file as if this directory were its first: what replaces the first bytes of the file."""
    layout = _layout(data)
    return data[: layout.first] + layout.offset.pack(directory.offset)


def _layout(data: bytes) -> _Layout:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise UnreadableImage("the image is damaged: a TIFF without a header")
    (version,) = struct.unpack(order + "H", data[2:4])
    if version == 43 and len(data) < 16:
        raise UnreadableImage("the image is damaged: a TIFF without a header")
    return _Layout(order, version == 43)


def _chain(data: bytes, layout: _Layout) -> Iterator[Directory]:
    """The directories one after the other; a broken one ends the chain where the next cannot be found."""
    (offset,) = layout.offset.unpack_from(data, layout.first)
    seen: set[int] = set()
    while offset and offset not in seen:
        if len(seen) == _MOST_PAGES:
            raise UnreadableImage(f"a TIFF of a kind that is not read (more than {_MOST_PAGES:,} pages)")
        # Some writers leave a number without meaning behind their only directory.
        if len(seen) == 1 and offset >= len(data):
            return
        seen.add(offset)
        directory, offset = _read(data, layout, offset)
        yield directory
    if not seen:
        raise UnreadableImage("the image is damaged: a TIFF without a directory")


def _read(data: bytes, layout: _Layout, offset: int) -> tuple[Directory, int]:
    """The directory at an offset, and the offset of the next one (0: none)."""
    begin = offset + layout.count.size
    if begin > len(data):
        return Directory(offset, broken=f"its directory lies at byte {offset:,} of {len(data):,}"), 0
    (count,) = layout.count.unpack_from(data, offset)
    end = begin + count * layout.entry.size
    if not 0 < count <= _MOST_ENTRIES or end > len(data):
        return Directory(offset, broken=f"its directory has {count:,} entries"), 0
    tags: dict[int, Sequence[int]] = {}
    for position in range(begin, end, layout.entry.size):
        tag, kind, values, inline = layout.entry.unpack_from(data, position)
        if tag in _WANTED and kind in _INTEGERS and 0 < values <= _MOST_VALUES:
            numbers = _numbers(data, layout, layout.order + str(values) + _INTEGERS[kind], inline)
            if numbers:
                tags.setdefault(tag, numbers)
    following = layout.offset.unpack_from(data, end)[0] if end + layout.offset.size <= len(data) else 0
    directory = Directory(offset, tags)
    if min(directory.size) < 1:
        return Directory(offset, tags, "its directory gives no size"), following
    return directory, following


def _numbers(data: bytes, layout: _Layout, form: str, inline: bytes) -> tuple[int, ...]:
    size = struct.calcsize(form)
    if size <= len(inline):
        return struct.unpack(form, inline[:size])
    (offset,) = layout.offset.unpack(inline)
    return struct.unpack_from(form, data, offset) if offset + size <= len(data) else ()


def _is_marked(directory: Directory) -> bool:
    """Whether the writer marked it: a reduced image, a mask, or (in the older SubfileType) a reduced image."""
    if directory.value(PHOTOMETRIC) == _MASK or directory.value(NEW_SUBFILE_TYPE) & (_REDUCED | _MASK):
        return True
    return NEW_SUBFILE_TYPE not in directory.tags and directory.value(SUBFILE_TYPE) == 2


def _is_smaller_copy(chain: Sequence[Directory], number: int, earlier: Iterable[Directory]) -> bool:
    """Whether a directory without a mark is a level of a pyramid, or a thumbnail, of the page before it.

    Both have the page's proportions and kind of samples. A level has half the size of the directory before it, and is
    tiled, or is one of several. A thumbnail has half the page's size or less, and at most 256 pixels.
    """
    directory = chain[number]
    first = number
    while first > 0 and _halves(chain[first - 1], chain[first]):
        first -= 1
    levels = number - first
    last = number
    while last + 1 < len(chain) and _halves(chain[last], chain[last + 1]):
        last += 1
    if levels > 0 and (TILE_WIDTH in directory.tags or last - first > 1):
        return True
    return max(directory.size) <= _LARGEST_THUMBNAIL and any(_is_larger(page, directory) for page in earlier)


def _halves(larger: Directory, smaller: Directory) -> bool:
    pairs = zip(larger.size, smaller.size, strict=True)
    return _same_kind(larger, smaller) and all(side > 1 and abs(side - 2 * half) <= 1 for side, half in pairs)


def _is_larger(page: Directory, other: Directory) -> bool:
    """Whether a directory has at least twice the size of another one, in the same proportions to a pixel."""
    if page.broken or other.broken or not _same_kind(page, other):
        return False
    (width, height), (columns, rows) = page.size, other.size
    if 2 * columns > width + 1 or 2 * rows > height + 1:
        return False
    return abs(columns - width * rows / height) <= 1 or abs(rows - height * columns / width) <= 1


def _same_kind(one: Directory, other: Directory) -> bool:
    return not one.broken and not other.broken and _kind(one)[1:] == _kind(other)[1:]


def _kind(directory: Directory) -> _Kind:
    """Size, samples of a pixel, and their depths."""
    return directory.size, directory.value(SAMPLES, 1), directory.tags.get(BITS)

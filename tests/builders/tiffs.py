"""TIFFs of any kind, written field by field: libraries write only what is usual."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, COUNTS, PLANAR = (
    *(256, 257, 258, 259, 262, 273, 277, 278, 279, 284),
)


@dataclass(frozen=True)
class Directory:
    """A page: its size, its strips as they are stored, and its tags besides these, as sequences of numbers."""

    width: int
    height: int
    strips: Sequence[bytes]
    tags: Mapping[int, Sequence[int] | bytes] = field(default_factory=dict)
    sub: Sequence[Directory] = ()


def tiff(*directories: Directory, order: str = "<") -> bytes:
    """A classic TIFF of these pages."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HL", 42, 0))
    _chain(out, directories, 4, order)
    return bytes(out)


def _chain(out: bytearray, directories: Sequence[Directory], pointer: int, order: str) -> None:
    for directory in directories:
        sub_offsets = []
        for sub in directory.sub:
            place = len(out)
            out += bytes(4)
            _chain(out, [sub], place, order)
            sub_offsets.append(struct.unpack_from(order + "L", out, place)[0])
        offset, pointer_after = _directory(out, directory, sub_offsets, order)
        struct.pack_into(order + "L", out, pointer, offset)
        pointer = pointer_after


def _directory(out: bytearray, directory: Directory, sub_offsets: Sequence[int], order: str) -> tuple[int, int]:
    offsets = []
    for strip in directory.strips:
        offsets.append(len(out))
        out += strip + bytes(len(strip) % 2)
    rows = -(-directory.height // max(1, len(directory.strips)))
    tags: dict[int, Sequence[int] | bytes] = {
        WIDTH: [directory.width],
        HEIGHT: [directory.height],
        BITS: [8],
        COMPRESSION: [1],
        PHOTOMETRIC: [1],
        STRIPS: offsets,
        SAMPLES: [1],
        ROWS: [rows],
        COUNTS: [len(strip) for strip in directory.strips],
        **directory.tags,
    }
    if sub_offsets:
        tags[330] = sub_offsets
    entries = b""
    for tag, values in sorted(tags.items()):
        kind, form = (7, f"{len(values)}s") if isinstance(values, bytes) else (4, f"{len(values)}L")
        stored = struct.pack(order + form, values) if isinstance(values, bytes) else struct.pack(order + form, *values)
        if len(stored) <= 4:
            inline = stored.ljust(4, b"\0")
        else:
            inline = struct.pack(order + "L", len(out))
            out += stored + bytes(len(stored) % 2)
        entries += struct.pack(order + "HHL", tag, kind, len(values)) + inline
    offset = len(out)
    out += struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return offset, len(out) - 4


def packed(values: npt.NDArray[np.integer], bits: int) -> bytes:
    """Samples (height, samples of a row) of this depth, the highest bit first, each row filled up to a byte."""
    shifts = np.arange(bits - 1, -1, -1)
    spread = (values[:, :, None].astype(np.int64) >> shifts) & 1
    return np.packbits(spread.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def sgilog_literal(words: npt.NDArray[np.integer], size: int) -> bytes:
    """Rows of words as SGI LogLuv stores them without runs (Ward Larson 1998): the highest bytes of a row first."""
    rows = []
    for row in words:
        for place in range(size - 1, -1, -1):
            plane = bytes(int(word) >> 8 * place & 0xFF for word in row)
            for start in range(0, len(plane), 127):
                rows.append(bytes([len(plane[start : start + 127])]) + plane[start : start + 127])
    return b"".join(rows)

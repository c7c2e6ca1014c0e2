"""JPEG XL: by imagecodecs (libjxl). Its size is read here, since libjxl's wrapper decodes before it reports it."""

from __future__ import annotations

import struct

import imagecodecs

from models.depth import scale_of, to_eight_bits
from models.pixels import RgbImage, UnreadableImage, check_size
from models.raster import Samples, rgb_of_samples

_CODESTREAM = b"\xff\x0a"
# Width by height, where the header gives a ratio (ISO/IEC 18181-1, annex D.2: SizeHeader).
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def decode_jpegxl(data: bytes) -> RgbImage:
    """The first picture of a JPEG XL file or codestream; libjxl turns it upright."""
    check_size(*_size(data))
    values = imagecodecs.jpegxl_decode(data, index=0, numthreads=1)
    values = values[:, :, None] if values.ndim == 2 else values
    count = 3 if values.shape[2] >= 3 else 1
    bits = 8 * values.dtype.itemsize
    colours = values[:, :, :count]
    scale = scale_of(colours, bits)
    alpha = values[:, :, count] if values.shape[2] > count else None
    opacity = None if alpha is None else to_eight_bits(alpha, bits, scale=None if bits == 8 else scale)
    eight = to_eight_bits(colours, bits, scale=None if bits == 8 else scale)
    return rgb_of_samples(Samples(eight, "RGB" if count == 3 else "L", None, opacity))


def _size(data: bytes) -> tuple[int, int]:
    """Width and height."""
    number = int.from_bytes(_codestream(data)[2:18], "little")

    def take(bits: int) -> int:
        nonlocal number
        value, number = number & (1 << bits) - 1, number >> bits
        return value

    def side(small: bool) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = bool(take(1))
    height = side(small)
    ratio = take(3)
    if ratio in _RATIOS:
        across, down = _RATIOS[ratio]
        return height * across // down, height
    return side(small), height


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream: the file itself, or its box jxlc, or the first jxlp."""
    position = 0
    while not data.startswith(_CODESTREAM) and position + 16 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, position)
        begin = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        if kind in (b"jxlc", b"jxlp"):
            begin += 4 if kind == b"jxlp" else 0
            return data[begin : begin + 32]
        if length < 8:
            break
        position += length
    if not data.startswith(_CODESTREAM):
        raise UnreadableImage("the image is damaged: a JPEG XL without a codestream")
    return data[:32]

"""JPEG 2000: by imagecodecs, which applies channel definitions, palettes and sYCC; by Pillow what that refuses.

Profiles are applied here, as for all formats, and hidden from imagecodecs, which would apply them as well.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from models.depth import scale_of, to_eight_bits
from models.pixels import RgbImage, UnreadableImage, check_size
from models.raster import Samples, opened, rgb_of_pillow, rgb_of_samples

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_SIZE_MARKER = b"\xff\x4f\xff\x51"
_ICC_METHODS = (2, 3)
_UNKNOWN_METHOD = 0xFF
_CMYK = 12
_OPACITY, _PREMULTIPLIED_OPACITY = 1, 2


def decode_jpeg2000(data: bytes) -> RgbImage:
    """The picture of a JP2 or JPX file or of a bare codestream. OpenJPEG needs 4 bytes a sample besides the result."""
    bits = _checked_depth(data)
    try:
        values = imagecodecs.jpeg2k_decode(_without_profile(data), planar=False)
    except Exception as error:  # noqa: BLE001 - it is raised below
        # Components of different sizes, say. Pillow reads some of them.
        try:
            with opened(io.BytesIO(data), ["JPEG2000"]) as image:
                return rgb_of_pillow(image)
        except Exception:  # noqa: BLE001 - the first one's reason is as good
            raise error from None
    boxes = _boxes(data)
    values = values[:, :, None] if values.ndim == 2 else values
    channels = values.shape[2]
    is_cmyk = channels >= 4 and _enumerated(boxes) == _CMYK
    count = 4 if is_cmyk else 3 if channels >= 3 else 1
    if b"pclr" in boxes:
        bits = 8 * values.dtype.itemsize  # The depth is that of the palette, not that of its numbers.
    scale = None if values.dtype == np.uint8 and bits == 8 else scale_of(values[:, :, :count], bits)
    eight = to_eight_bits(values[:, :, :count], bits, scale=scale)
    alpha = values[:, :, count] if channels > count and not is_cmyk else None
    opacity = None if alpha is None else to_eight_bits(alpha, bits, scale=scale)
    mode = "CMYK" if is_cmyk else "RGB" if count == 3 else "L"
    return rgb_of_samples(
        Samples(eight, mode, _profile(boxes), opacity, premultiplied=_alpha_kind(boxes) == _PREMULTIPLIED_OPACITY)
    )


def _checked_depth(data: bytes) -> int:
    """The depth of the samples, after the size was checked (ITU-T T.800, annex A.5.1: the SIZ marker)."""
    start = data.find(_SIZE_MARKER)
    if start < 0 or len(data) < start + 44:
        raise UnreadableImage("the image is damaged: a JPEG 2000 without a codestream")
    right, bottom, left, top = struct.unpack_from(">4L", data, start + 8)
    check_size(right - left, bottom - top)
    return (data[start + 42] & 0x7F) + 1


def _boxes(data: bytes) -> dict[bytes, list[bytes]]:
    """The contents of the boxes in the JP2 header (annex I.5.3), by their types; none in a bare codestream."""
    boxes: dict[bytes, list[bytes]] = {}
    for kind, begin, end in _places(data, 0, len(data)) if data.startswith(_SIGNATURE) else ():
        for inner, first, last in _places(data, begin, end) if kind == b"jp2h" and not boxes else ():
            boxes.setdefault(inner, []).append(data[first:last])
    return boxes


def _places(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The types of the boxes in a part of the file before the codestream, and where their contents begin and end."""
    while position + 8 <= end:
        length, kind = struct.unpack_from(">L4s", data, position)
        if kind == b"jp2c" or length < 8:
            return
        yield kind, position + 8, min(position + length, end)
        position += length


def _without_profile(data: bytes) -> bytes:
    """The file with its profiles under a method that decoders do not know (annex I.5.3.3), and so ignore."""
    hidden = bytearray()
    for kind, begin, end in _places(data, 0, len(data)) if data.startswith(_SIGNATURE) else ():
        for inner, place, _ in _places(data, begin, end) if kind == b"jp2h" else ():
            if inner == b"colr" and data[place : place + 1] and data[place] in _ICC_METHODS:
                hidden = hidden or bytearray(data)
                hidden[place] = _UNKNOWN_METHOD
    return bytes(hidden) if hidden else data


def _profile(boxes: dict[bytes, list[bytes]]) -> bytes | None:
    return next((box[3:] for box in boxes.get(b"colr", ()) if box[:1] and box[0] in _ICC_METHODS), None)


def _enumerated(boxes: dict[bytes, list[bytes]]) -> int | None:
    return next((int.from_bytes(box[3:7], "big") for box in boxes.get(b"colr", ()) if box[:1] == b"\x01"), None)


def _alpha_kind(boxes: dict[bytes, list[bytes]]) -> int | None:
    """What kind of opacity the channel definitions name: 1, or 2 for premultiplied."""
    for box in boxes.get(b"cdef", ()):
        for start in range(2, len(box) - 5, 6):
            kind = int.from_bytes(box[start + 2 : start + 4], "big")
            if kind in (_OPACITY, _PREMULTIPLIED_OPACITY):
                return kind
    return None

"""Samples of any depth as 8-bit samples: integers of 1 to 64 bits, signed or not, and floats.

Scanners write 10, 12 or 14 bits into 16-bit words, and seldom record that they do. So the values decide: where the top
two bits of more than eight are unused, the full scale is the next power of two above the largest value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.pixels import bands

# Floats of a picture are from 0 to 1. A few above 1 are highlights; when more than this share is, the scale is another.
_MOST_HIGHLIGHTS = 0.01
# A picture has at least this many gray levels: fewer are noise on black, which is left dark.
_FEWEST_BITS = 4
# Maps mark what was not measured by the lowest number of a float (GDAL's no-data value), or by none.
_NO_DATA = 1e30


def to_eight_bits(
    values: npt.NDArray[np.generic], bits: int, *, scale: tuple[float, float] | None = None
) -> npt.NDArray[np.uint8]:
    """Samples (height, width) or (height, width, channels) as uint8 of the same shape.

    bits: the declared depth of a sample. scale: the values that become 0 and 255; by default as `scale_of` finds them.
    """
    if values.dtype == np.uint8 and bits == 8 and scale is None:
        return np.ascontiguousarray(values).view(np.uint8)
    low, high = scale or scale_of(values, bits)
    width = values.size // max(1, len(values))
    eight = np.empty(values.shape, dtype=np.uint8)
    convert = _from_sixteen if values.dtype == np.uint16 and (low, high) == (0.0, 65535.0) else _from_any
    for rows in bands(width, len(values)):
        eight[rows] = convert(values[rows], low, high)
    return eight


def _from_sixteen(band: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.generic]:  # noqa: ARG001
    """The common case in whole numbers, five times as fast: v / 257, rounded."""
    words = band.astype(np.uint16)
    words -= words >> 8
    words += 128
    words >>= 8
    return words


def _from_any(band: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.generic]:
    # Small integers are exact in float32; larger numbers lose less than half a level of the result.
    scaled = band.astype(np.float32)
    if np.issubdtype(band.dtype, np.floating):
        np.nan_to_num(scaled, copy=False, nan=low, posinf=high, neginf=low)
    scaled -= np.float32(low)
    with np.errstate(over="ignore"):
        scaled *= np.float32(255.0 / (high - low)) if high > low else np.float32(0)
    np.clip(scaled, 0, 255, out=scaled)
    return np.rint(scaled, out=scaled)


def scale_of(values: npt.NDArray[np.generic], bits: int) -> tuple[float, float]:
    """The values that are black and white."""
    if values.size == 0 or values.dtype == np.bool_:
        return 0.0, 1.0
    if np.issubdtype(values.dtype, np.floating):
        return _scale_of_floats(values.view())  # type: ignore[arg-type]
    low, high = int(values.min()), int(values.max())
    if low < 0:
        # Signed samples: the middle of the scale is 0.
        used = _used_bits(max(high, -1 - low), bits - 1)
        return float(-(2**used)), float(2**used - 1)
    if bits <= 8:
        return 0.0, float(2**bits - 1)
    depth = bits - 1 if np.issubdtype(values.dtype, np.signedinteger) else bits
    used = _used_bits(high, depth)
    # A picture that uses a small part of an unknown scale, far from black, is stretched.
    if used < depth and high > low and high - low < 2 ** (used - 2):
        return float(low), float(high)
    return 0.0, float(2**used - 1)


def _used_bits(largest: int, bits: int) -> int:
    """The bits that the full scale has: all where one of the top two is used, else as many as the largest value."""
    return bits if largest >= 2 ** (bits - 2) else max(_FEWEST_BITS, largest.bit_length())


def _scale_of_floats(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    usable = np.abs(values) < min(_NO_DATA, float(np.finfo(values.dtype).max))
    finite = values if usable.all() else values[usable]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low < 0:
        return (-1.0, 1.0) if low >= -1 and high <= 1 else (low, high)
    if high <= 1 or np.count_nonzero(finite > 1) < _MOST_HIGHLIGHTS * finite.size:
        return 0.0, 1.0
    if high <= 255:
        return 0.0, 255.0
    # Integers that were stored as floats.
    return 0.0, float(2 ** max(_used_bits(int(high), 16), int(high).bit_length()) - 1)

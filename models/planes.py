"""Tiled pyramids as pixels: what the detector's network is fed with, cut into strips and filled up to buckets.

A cell of the network's scores sees a square of the plane. Sizes are in cells where they are called rows and columns, in
pixels where they are called height and width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.pyramid import Layout

Pixels = npt.NDArray[np.float32]
"""Pixels from 0 to 255: float32, shape (batch, 3, height, width)."""

NARROW = 1024
"""Up to so many columns, dlib's lie at even steps, to 0.003 pixels; see `column_runs`."""

# Buckets: a side is filled up to a multiple of the eighth of the next lower power of two, so by an eighth at most.
_STEPS_AN_OCTAVE = 8


@dataclass(frozen=True)
class Grid:
    """Where cells lie: cell k sees `seen` pixels from pixel `stride` * k on.

    What up to `reach` cells beside it see counts for its score as well.
    """

    stride: int
    seen: int
    reach: int

    def cells(self, side: int) -> int:
        """The cells on a side of so many pixels."""
        return max(0, (side - self.seen) // self.stride + 1)

    def pixels(self, cells: int) -> int:
        """The pixels that so many cells see."""
        return (cells - 1) * self.stride + self.seen


@dataclass(frozen=True)
class Strip:
    """Rows `begin` to before `end` of a plane go through the network, for the scores of `first` to before `last`."""

    begin: int
    end: int
    first: int
    last: int


def strips(rows: int, columns: int, grid: Grid, most_pixels: int) -> Iterator[Strip]:
    """Cut a plane into even strips of about so many pixels; each takes in what its cells can see beyond it."""
    width = grid.pixels(columns)
    if grid.pixels(rows) * width <= most_pixels:
        yield Strip(0, rows, 0, rows)
        return
    most = max(4 * grid.reach, most_pixels // (width * grid.stride) - 2 * grid.reach)
    step = math.ceil(rows / math.ceil(rows / most))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        yield Strip(max(0, first - grid.reach), min(last + grid.reach, rows), first, last)


def bucket(cells: int) -> int:
    """The number of cells that a side of so many is filled up to."""
    step = max(1, last_power(cells) // _STEPS_AN_OCTAVE)
    return math.ceil(cells / step) * step


def next_power(count: int) -> int:
    """The power of two from this number on: batches are filled up to one, so that they too have few sizes."""
    return int(2 ** (count - 1).bit_length())


def last_power(count: int) -> int:
    """The power of two up to this number."""
    return int(2 ** (count.bit_length() - 1))


def column_runs(before: int, after: int) -> list[tuple[int, float, float]]:
    """Where dlib takes the columns from when it resizes a plane of `before` columns to one of `after`.

    Runs of columns at even steps: how many they are, and where the first and the last of them lie, as shares of the way
    from the first column to the last. dlib adds up the steps in 32 bits, four columns at a time, and so is off by up to
    0.04 pixels at the right of a wide plane (tt::resize_bilinear in dlib/cuda/cpu_dlib.cpp). Between two powers of two,
    each addition is rounded alike.
    """
    step = np.float32(before - 1) / np.float32(max(after - 1, 1))
    fours = np.full((math.ceil(after / 4), 4), 4 * step, dtype=np.float32)
    fours[0] = np.arange(4, dtype=np.float32) * step
    places = np.add.accumulate(fours, axis=0).ravel()[:after]
    # ONNX Runtime takes black for what lies beyond the last column, even by a rounding, where dlib takes that column.
    last_share = 1 - 1e-6
    shares = np.minimum(places.astype(np.float64) / max(before - 1, 1), last_share)
    cuts = np.searchsorted(places, [*(2.0**power for power in range(10, 16)), last_share * (before - 1)])
    ends = [0, *(int(it) for it in np.unique(cuts) if 0 < it < after), after]
    return [(last - first, float(shares[first]), float(shares[last - 1])) for first, last in itertools.pairwise(ends)]


def tile(levels: Sequence[Pixels], tiled: Layout, top: int, into: Pixels) -> None:
    """Put levels where they lie on the plane, into the part (3, height, width) of it that begins at `top`."""
    bottom = top + into.shape[1]
    for level, pixels in zip(tiled.levels, levels, strict=True):
        upper, lower = max(top, level.top), min(bottom, level.top + level.height)
        if upper < lower:
            right = min(level.left + level.width, into.shape[2])
            part = pixels[0, :, upper - level.top : lower - level.top, : right - level.left]
            into[:, upper - top : lower - top, level.left : right] = part

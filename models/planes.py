"""The pixels of tiled pyramids: what goes through the detector's network, in strips and filled up to buckets.

A *cell* is an element of the network's scores, and scores one square of the plane (see models.pyramid). Sizes are in
cells where they are called rows and columns, in pixels where they are called height and width.
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

MAX_EVEN_COLUMNS = 1024
"""Up to so many columns, those that dlib resizes from lie at even steps, to 0.003 pixels; see `column_runs`."""

# A bucket is a multiple of 1/8 of the power of two below it, so a side grows by 1/8 at most.
_BUCKETS_PER_OCTAVE = 8


@dataclass(frozen=True)
class Grid:
    """Where cells lie on the plane: cell k sees `field` pixels (its receptive field) from pixel `stride` * k on.

    That is without the network's padded layers. By way of these, the score of a cell also depends on what the cells up
    to `reach` beside it see. The published detector has a stride of 8, a field of 29 and a reach of 10.
    """

    stride: int
    field: int
    reach: int

    def cells(self, side: int) -> int:
        """The number of cells on a side of so many pixels."""
        return max(0, (side - self.field) // self.stride + 1)

    def pixels(self, cells: int) -> int:
        """The number of pixels that so many neighbouring cells see."""
        return (cells - 1) * self.stride + self.field


@dataclass(frozen=True)
class Strip:
    """Rows of cells of a plane that go through the network together; ends are exclusive.

    Rows `begin` to `end` go in; of their scores, those of rows `kept_begin` to `kept_end` are as on the whole plane.
    """

    begin: int
    end: int
    kept_begin: int
    kept_end: int


def strips(rows: int, columns: int, grid: Grid, max_pixels: int) -> Iterator[Strip]:
    """Cut a plane into strips of equal heights and about `max_pixels` pixels; their kept rows are all rows, in order.

    Each strip overlaps its neighbours by `grid.reach` rows on either side, which its kept scores depend on.
    """
    width = grid.pixels(columns)
    if grid.pixels(rows) * width <= max_pixels:
        yield Strip(0, rows, 0, rows)
        return
    # At least four times the reach is kept, so that the overlap is a third of a strip at most.
    max_kept = max(4 * grid.reach, max_pixels // (width * grid.stride) - 2 * grid.reach)
    kept = math.ceil(rows / math.ceil(rows / max_kept))
    for begin in range(0, rows, kept):
        end = min(begin + kept, rows)
        yield Strip(max(0, begin - grid.reach), min(end + grid.reach, rows), begin, end)


def bucket(cells: int) -> int:
    """The number of cells that a side of so many is filled up to, so that planes have few different sizes."""
    step = max(1, last_power(cells) // _BUCKETS_PER_OCTAVE)
    return math.ceil(cells / step) * step


def next_power(count: int) -> int:
    """The smallest power of two that is not below `count`: batches are filled up to it, to have few sizes too."""
    return int(2 ** (count - 1).bit_length())


def last_power(count: int) -> int:
    """The largest power of two that is not above `count`."""
    return int(2 ** (count.bit_length() - 1))


def column_runs(before: int, after: int) -> list[tuple[int, float, float]]:
    """Where dlib takes the columns from when it resizes a plane of `before` columns to one of `after`.

    Returns runs of columns at even steps: their number, and where the first and the last of them come from, as shares
    of the way from the first column to the last.

    Exactly, column x comes from x * (before - 1) / (after - 1). dlib (tt::resize_bilinear in dlib/cuda/cpu_dlib.cpp)
    computes four columns at a time and adds four steps to their positions each time, in float32. The rounding adds up
    to 0.04 pixels at the right of a wide plane, which shows in the scores. While a position stays between two powers of
    two, the spacing of float32 is the same and so is the rounding of each addition: the steps are even there. So the
    runs are cut where positions pass a power of two.
    """
    step = np.float32(before - 1) / np.float32(max(after - 1, 1))
    # Row i holds the positions of columns 4 i to 4 i + 3 once accumulated: the first four, then four steps more.
    fours = np.full((math.ceil(after / 4), 4), 4 * step, dtype=np.float32)
    fours[0] = np.arange(4, dtype=np.float32) * step
    positions = np.add.accumulate(fours, axis=0).ravel()[:after]
    # ONNX Runtime takes black for what is beyond the last column, even by a rounding, where dlib takes that column.
    last_share = 1 - 1e-6
    shares = np.minimum(positions.astype(np.float64) / max(before - 1, 1), last_share)
    # Powers below 1024 make no difference (MAX_EVEN_COLUMNS), and no plane is wider than 2**16. The columns whose
    # share was cut off form a run of their own.
    cuts = np.searchsorted(positions, [*(2.0**power for power in range(10, 16)), last_share * (before - 1)])
    ends = [0, *(int(cut) for cut in np.unique(cuts) if 0 < cut < after), after]
    return [(end - begin, float(shares[begin]), float(shares[end - 1])) for begin, end in itertools.pairwise(ends)]


def tile(levels: Sequence[Pixels], tiled: Layout, top: int, target: Pixels) -> None:
    """Copy levels to where they lie on the plane.

    `levels` are (1, 3, height, width) each. `target` is the section (3, height, width) of the plane that begins at
    row `top` (pixels) and column 0; what lies beyond it is left out.
    """
    bottom = top + target.shape[1]
    for level, pixels in zip(tiled.levels, levels, strict=True):
        upper, lower = max(top, level.top), min(bottom, level.top + level.height)
        if upper < lower:
            right = min(level.left + level.width, target.shape[2])
            section = pixels[0, :, upper - level.top : lower - level.top, : right - level.left]
            target[:, upper - top : lower - top, level.left : right] = section

"""The tiled image pyramid of dlib's detectors: where its levels lie, and which point of the image a point on it is.

The detector finds faces of one size, that of its window. It is run over the image and over ever smaller copies of it,
each 5/6 of the one before, so that a larger face fits the window in a smaller copy. All copies (levels) are placed side
by side on one *plane*, which goes through the network once.

Written after dlib/image_transforms/image_pyramid.h: pyramid_down<6>, impl::compute_tiled_image_pyramid_details and
tiled_pyramid_to_image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
"""Boxes in pixels: float64, shape (n, 4), left, top, right, bottom; right and bottom belong to the box."""

# A level of fewer rows, in pixels, ends the pyramid.
_MIN_HEIGHT = 5
# The size of a level, as a share of the one before: (n - 1) / n of pyramid_down<n>.
_RATE = 5.0 / 6.0


@dataclass(frozen=True)
class Level:
    """A level of the pyramid on the plane, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """The plane's size in pixels and the levels on it, the image itself first."""

    width: int
    height: int
    levels: tuple[Level, ...]


def layout(width: int, height: int, padding: int, outer_padding: int) -> Layout:
    """Lay out the pyramid of an image of this size; `padding` pixels between levels, `outer_padding` around all.

    The first levels form a column downwards from the top left; the others follow upwards along the right edge, from
    the bottom of that column. A level that would touch the image on its way up ends the pyramid, as in dlib.

        +----------------------+
        |                      |
        |       level 0        |
        |                      |
        +----------------------+
        +-----------------+  +-+
        |                 |  |5|
        |     level 1     |  +-+
        |                 | +--+
        +-----------------+ |4 |
        +--------------+    +--+
        |   level 2    |  +----+
        |              |  | 3  |
        +--------------+  +----+
    """
    sizes = _level_sizes(width, height)
    column = _column_height(sizes, padding)
    levels: list[Level] = []
    top = outer_padding
    while len(levels) < len(sizes) and top < column + outer_padding:
        level_width, level_height = sizes[len(levels)]
        levels.append(Level(outer_padding, top, level_width, level_height))
        top += level_height + padding
    bottom = top - padding  # the first row below the column
    for level_width, level_height in sizes[len(levels) :]:
        level = Level(outer_padding + width - level_width, bottom - level_height, level_width, level_height)
        if level.top < outer_padding + height:
            break
        levels.append(level)
        bottom -= level_height + padding
    return Layout(width + 2 * outer_padding, column + 2 * outer_padding, tuple(levels))


def to_image(plane: Layout, boxes: Boxes) -> Boxes:
    """Boxes on the plane as boxes on the image; both of shape (n, 4).

    A box belongs to the level that its middle is nearest to (dlib's nearest_rect); of several, to the first.
    """
    # (levels, 4); right and bottom belong to the level.
    levels = np.array(
        [(level.left, level.top, level.left + level.width - 1, level.top + level.height - 1) for level in plane.levels]
    )
    # dlib rounds the middle to a whole pixel, a half upwards. (n, 1, 2), to be compared with (1, levels, 2).
    middles = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 + 0.5)[:, None, :]
    nearest_points = np.clip(middles, levels[None, :, :2], levels[None, :, 2:])
    level_of = ((middles - nearest_points) ** 2).sum(axis=2).argmin(axis=1)  # (n,)
    boxes = boxes - np.tile(levels[level_of, :2], 2)
    # Once for each level that the box is below the image: pyramid_down<6>::point_up, p * 6/5 + 0.3.
    for number in range(1, len(levels)):
        boxes[level_of >= number] = boxes[level_of >= number] * (6.0 / 5.0) + 0.3
    return boxes


def upsampled_size(width: int, height: int) -> tuple[int, int]:
    """The width and height of an image doubled by dlib's pyramid_up (interpolation.h) with pyramid_down<2>.

    It takes the last pixel up, (p + (1.25, 0.75)) * 2, rounds, and adds 1. So 2 (width - 1 + 1.25) = 2 width + 0.5
    becomes 2 width + 2, and 2 (height - 1 + 0.75) = 2 height - 0.5 becomes 2 height + 1.
    """
    return 2 * width + 2, 2 * height + 1


def before_upsampling(boxes: Boxes) -> Boxes:
    """Boxes on a doubled image as boxes on the image: pyramid_down<2>::point_down, p / 2 - (1.25, 0.75)."""
    before: Boxes = boxes / 2 - np.array([1.25, 0.75, 1.25, 0.75])
    return before


def _level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Width and height of each level, rounded down each time (find_pyramid_down_output_image_size)."""
    sizes = [(width, height)]
    while True:
        width, height = int(_RATE * width), int(_RATE * height)
        if width == 0 or height < _MIN_HEIGHT:
            return sizes
        sizes.append((width, height))


def _column_height(sizes: list[tuple[int, int]], padding: int) -> int:
    """The height of the first column, from the top of the image to the end of its last level.

    The column ends before the first level that fits beside the level before it, as soon as what lies below the image
    is at least half of all that has to lie there: then the other half fits on the way up.
    """
    image_width, image_height = sizes[0]
    total = sum(height + padding for _, height in sizes) - 2 * padding
    column = previous_width = 0
    for width, height in sizes:
        fits_beside = width <= image_width - previous_width - padding
        if fits_beside and 2 * (column - image_height) >= total - image_height:
            break
        column += height + padding
        previous_width = width
    return column - padding

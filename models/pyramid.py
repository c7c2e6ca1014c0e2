"""The tiled image pyramid of dlib's detectors: where levels lie on the plane, and what a place on it is in the picture.

Written after dlib/image_transforms/image_pyramid.h (pyramid_down<6>, compute_tiled_image_pyramid_details).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
"""Boxes in pixels: float64, shape (n, 4), left, top, right, bottom."""

_SMALLEST_HEIGHT = 5
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
    """The plane's size in pixels and the levels on it, the picture itself first."""

    width: int
    height: int
    levels: tuple[Level, ...]


def layout(width: int, height: int, padding: int, outer_padding: int) -> Layout:
    """Lay out the pyramid of a picture: a column downwards, then upwards along its right edge.

    Levels that would touch the picture on their way up are left out, as dlib does.
    """
    sizes = _sizes(width, height)
    column = _column_height(sizes, padding)
    levels: list[Level] = []
    top = outer_padding
    while len(levels) < len(sizes) and top < column + outer_padding:
        level_width, level_height = sizes[len(levels)]
        levels.append(Level(outer_padding, top, level_width, level_height))
        top += level_height + padding
    bottom = top - padding
    for level_width, level_height in sizes[len(levels) :]:
        level = Level(outer_padding + width - level_width, bottom - level_height, level_width, level_height)
        if level.top < outer_padding + height:
            break
        levels.append(level)
        bottom -= level_height + padding
    return Layout(width + 2 * outer_padding, column + 2 * outer_padding, tuple(levels))


def to_picture(plane: Layout, boxes: Boxes) -> Boxes:
    """Boxes on the plane as boxes on the picture.

    Each belongs to the level that its middle is nearest to, the first of them where there are several.
    """
    levels = np.array([(it.left, it.top, it.left + it.width - 1, it.top + it.height - 1) for it in plane.levels])
    middles = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 + 0.5)[:, None, :]
    nearest = np.clip(middles, levels[None, :, :2], levels[None, :, 2:])
    level = ((middles - nearest) ** 2).sum(axis=2).argmin(axis=1)
    boxes = boxes - np.tile(levels[level, :2], 2)
    for above in range(1, len(levels)):
        boxes[level >= above] = boxes[level >= above] * (6.0 / 5.0) + 0.3
    return boxes


def upsampled_size(width: int, height: int) -> tuple[int, int]:
    """The size of a picture doubled by dlib's pyramid_up with pyramid_down<2>."""
    return 2 * width + 2, 2 * height + 1


def before_upsampling(boxes: Boxes) -> Boxes:
    """Boxes on a doubled picture as boxes on the picture, with dlib's offsets."""
    before: Boxes = boxes / 2 - np.array([1.25, 0.75, 1.25, 0.75])
    return before


def _sizes(width: int, height: int) -> list[tuple[int, int]]:
    sizes = [(width, height)]
    while True:
        width, height = int(_RATE * width), int(_RATE * height)
        if width == 0 or height < _SMALLEST_HEIGHT:
            return sizes
        sizes.append((width, height))


def _column_height(sizes: list[tuple[int, int]], padding: int) -> int:
    """The first column ends where the next level fits beside the one before and the rest fits on the way up."""
    first_width, first_height = sizes[0]
    total = sum(height + padding for _, height in sizes) - 2 * padding
    column = previous_width = 0
    for width, height in sizes:
        fits_beside = width <= first_width - previous_width - padding
        if fits_beside and 2 * (column - first_height) >= total - first_height:
            break
        column += height + padding
        previous_width = width
    return column - padding

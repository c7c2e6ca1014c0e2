"""Jittered chips: the same face turned, moved and mirrored a little, so that their embeddings can be averaged.

The amounts are those of dlib's jitter_image. dlib draws them from a generator that goes on from call to call; here they
are the same for every chip, so that the same scan has the same embeddings always.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from models.protocols import Chip

_SEED = 0
_DEGREES = 3.0
_SHIFT = 0.02
_ZOOM = (0.97, 0.99999)


def jittered(chip: Chip, count: int) -> list[Chip]:
    """`count` versions of an aligned face, each uint8, shape (150, 150, 3)."""
    generator = np.random.default_rng(_SEED)
    return [_moved(chip, generator) for _ in range(count)]


def _moved(chip: Chip, generator: np.random.Generator) -> Chip:
    angle = math.radians(generator.uniform(-_DEGREES, _DEGREES))
    # A face that fills less of the chip than it did is looked at from further away.
    zoom = 1 / generator.uniform(*_ZOOM)
    size = chip.shape[0]
    shift_x, shift_y = generator.uniform(-_SHIFT, _SHIFT, size=2) * size
    mirror = -1.0 if generator.random() < 0.5 else 1.0
    middle = size / 2
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    # Where each pixel comes from: x' = a x + b y + c, y' = d x + e y + f.
    a, b, d, e = cos * mirror, -sin, sin * mirror, cos
    c = middle + shift_x - a * middle - b * middle
    f = middle + shift_y - d * middle - e * middle
    moved = Image.fromarray(chip).transform(
        (size, size), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    return np.asarray(moved)

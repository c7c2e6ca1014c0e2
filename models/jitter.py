"""Jittered chips: versions of a face that are turned, moved, scaled and mirrored a little.

The mean of their embeddings is steadier than the embedding of the chip alone. The amounts are those of dlib's
jitter_image (dlib/image_transforms/interpolation.h). dlib continues one random sequence from call to call; here every
chip gets the same sequence, so that analysing a scan twice yields the same embeddings.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from models.protocols import Chip

_SEED = 0
# Rotation, in degrees either way; shift, as a share of the chip's side either way; size of the face after scaling.
_DEGREES = 3.0
_SHIFT = 0.02
_FACE_SIZE = (0.97, 0.99999)


def jittered(chip: Chip, count: int) -> list[Chip]:
    """`count` versions of a chip, each uint8 of the chip's shape (CHIP_SIZE, CHIP_SIZE, 3)."""
    generator = np.random.default_rng(_SEED)
    return [_moved(chip, generator) for _ in range(count)]


def _moved(chip: Chip, generator: np.random.Generator) -> Chip:
    """One version. The order in which the random numbers are drawn is a part of the result: do not change it."""
    angle = math.radians(generator.uniform(-_DEGREES, _DEGREES))
    # The transform below maps from target to source, so a smaller face is a larger step in the source.
    step = 1 / generator.uniform(*_FACE_SIZE)
    size = chip.shape[0]
    shift_x, shift_y = generator.uniform(-_SHIFT, _SHIFT, size=2) * size
    mirror = -1.0 if generator.random() < 0.5 else 1.0
    middle = size / 2
    cos, sin = step * math.cos(angle), step * math.sin(angle)
    # Pillow asks for the source of each target pixel: x' = a x + b y + c, y' = d x + e y + f. The matrix is
    # step * rotation(angle) * diag(mirror, 1).
    a, b, d, e = cos * mirror, -sin, sin * mirror, cos
    # c and f are chosen such that the middle of the target comes from the middle of the source, shifted.
    c = middle + shift_x - a * middle - b * middle
    f = middle + shift_y - d * middle - e * middle
    moved = Image.fromarray(chip).transform(
        (size, size), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    return np.asarray(moved)

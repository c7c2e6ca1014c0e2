"""PNGs: by Pillow, and those of 16 bits by imagecodecs, since Pillow cuts their samples to 8 bits."""

from __future__ import annotations

import io

import imagecodecs
from PIL import Image

from models.depth import scale_of, to_eight_bits
from models.pixels import RgbImage, oriented
from models.raster import Samples, opened, rgb_of_pillow, rgb_of_samples

# Where the header chunk (IHDR) has the depth and the kind of colours; bit 1 of these: colour, bit 2: with alpha.
_DEPTH, _COLOURS = 24, 25
_EXIF_ORIENTATION = 0x0112


def decode_png(data: bytes) -> RgbImage:
    """The picture of a PNG, upright."""
    with opened(io.BytesIO(data), ["PNG"]) as image:
        if data[_DEPTH] != 16 or "transparency" in image.info:
            return rgb_of_pillow(image)
        return _decode_deep(data, image)


def _decode_deep(data: bytes, image: Image.Image) -> RgbImage:
    profile, orientation = image.info.get("icc_profile"), image.getexif().get(_EXIF_ORIENTATION, 1)
    values = imagecodecs.png_decode(data)
    values = values[:, :, None] if values.ndim == 2 else values
    count = 3 if data[_COLOURS] & 2 else 1
    scale = scale_of(values[:, :, :count], 16)
    colours = to_eight_bits(values[:, :, :count], 16, scale=scale)
    alpha = values[:, :, count] if values.shape[2] > count else None
    opacity = None if alpha is None else to_eight_bits(alpha, 16, scale=(0.0, max(scale[1], scale_of(alpha, 16)[1])))
    rgb = rgb_of_samples(Samples(colours, "RGB" if count == 3 else "L", profile, opacity))
    return oriented(rgb, orientation if isinstance(orientation, int) else 1)

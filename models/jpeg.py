"""JPEGs: by Pillow, and large ones by imagecodecs, which needs less than half of the memory.

Both decode with libjpeg-turbo and yield the same pixels (benchmarks/images.py compares them).
"""

from __future__ import annotations

import io
import re

import imagecodecs
import numpy as np
from PIL import Image

from models.pixels import RgbImage, UnreadableImage, oriented
from models.raster import Samples, opened, rgb_of_pillow, rgb_of_samples

_LARGE = 50_000_000
_EXIF_ORIENTATION = 0x0112
# A marker in the data of a scan: neither a stuffed byte nor a restart.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def decode_jpeg(data: bytes, orientation: int = 1) -> RgbImage:
    """The picture of a JPEG, upright; of several (MPO), the first.

    `orientation` applies where the JPEG has none of its own.
    """
    with opened(io.BytesIO(data), ["JPEG", "MPO"]) as image:
        own = image.getexif().get(_EXIF_ORIENTATION)
        large = image.width * image.height > _LARGE and image.mode in ("L", "RGB")
        picture = _decode_large(data, image) if large else rgb_of_pillow(image)
    return picture if own in range(1, 9) else oriented(picture, orientation)


def _decode_large(data: bytes, image: Image.Image) -> RgbImage:
    """libjpeg fills what is missing with gray and does not report it, so the end is looked for before."""
    if not _is_whole(data):
        raise UnreadableImage("the image is damaged: the file ends before the picture does")
    samples = imagecodecs.jpeg8_decode(data)
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    rgb = rgb_of_samples(Samples(samples, image.mode, image.info.get("icc_profile")))
    return oriented(np.ascontiguousarray(rgb), orientation if isinstance(orientation, int) else 1)


def _is_whole(data: bytes) -> bool:
    """Whether the picture's last scan is followed by the end-of-image marker (ITU-T T.81, annex B)."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return False
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == _END_OF_IMAGE:
            return True
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            found = _MARKER.search(data, position)
            if found is None:
                return False
            position = found.start()
    return data[position : position + 2] == bytes((0xFF, _END_OF_IMAGE))

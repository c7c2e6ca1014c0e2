"""JPEGs: by Pillow; large ones, and those of more than 8 bits a sample, by imagecodecs.

Both decode with libjpeg-turbo and yield the same pixels (benchmarks/images.py compares them). imagecodecs needs less
than half of the memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import imagecodecs
import numpy as np
from PIL import Image

from models.depth import scale_of, to_eight_bits
from models.pixels import RgbImage, UnreadableImage, oriented
from models.raster import Samples, opened, rgb_of_pillow, rgb_of_samples

_LARGE = 50_000_000
_EXIF_ORIENTATION = 0x0112
# A marker in the data of a scan: neither a stuffed byte nor a restart.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Markers that begin a frame (annex B.2.2; ISO/IEC 14495-1 for JPEG-LS), and the processes that libjpeg-turbo knows.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_READ = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_NAMES = {0xC3: "lossless", 0xCB: "lossless, arithmetic coding", 0xF7: "JPEG-LS"}


def decode_jpeg(data: bytes, orientation: int = 1) -> RgbImage:
    """The picture of a JPEG, upright; of several (MPO), the first.

    `orientation` applies where the JPEG has none of its own.
    """
    bits, header = _checked(data)
    # Pillow's plugin for JPEG reads MPO as well. It takes 8 bits only, but its header has all that is needed here.
    with opened(io.BytesIO(header), ["JPEG"]) as image:
        own = image.getexif().get(_EXIF_ORIENTATION)
        large = image.width * image.height > _LARGE and image.mode in ("L", "RGB")
        picture = _by_imagecodecs(data, image, bits) if large or bits != 8 else rgb_of_pillow(image)
    return picture if own in range(1, 9) else oriented(picture, orientation)


def _checked(data: bytes) -> tuple[int, bytes]:
    """The bits of a sample, and the JPEG with a header as if they were 8. Raises UnreadableImage for unknown kinds."""
    frame = next((position for marker, position in _segments(data) if marker in _FRAMES), None)
    if frame is None or frame + 5 > len(data):
        raise UnreadableImage("the image is damaged: a JPEG without a frame")
    process, bits = data[frame + 1], data[frame + 4]
    if process not in _READ:
        kind = _NAMES.get(process, f"process {process - 0xC0}")
        raise UnreadableImage(f"a JPEG of a kind that is not read ({kind})")
    if bits == 8:
        return bits, data
    scan = next((position for marker, position in _segments(data) if marker == _START_OF_SCAN), len(data))
    return bits, data[: frame + 4] + b"\x08" + data[frame + 5 : scan + 64]


def _by_imagecodecs(data: bytes, image: Image.Image, bits: int) -> RgbImage:
    """libjpeg fills what is missing with gray and does not report it, so the end is looked for before."""
    if not _is_whole(data):
        raise UnreadableImage("the image is damaged: the file ends before the picture does")
    samples = imagecodecs.jpeg8_decode(data)
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    if bits != 8:
        samples = to_eight_bits(samples, bits, scale=scale_of(samples, bits))
    rgb = rgb_of_samples(Samples(samples, image.mode, image.info.get("icc_profile")))
    return oriented(np.ascontiguousarray(rgb), orientation if isinstance(orientation, int) else 1)


def _is_whole(data: bytes) -> bool:
    """Whether the picture's last scan is followed by the end-of-image marker (ITU-T T.81, annex B)."""
    return any(marker == _END_OF_IMAGE for marker, _ in _segments(data))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of the first picture and where each lies, to the end of the image, or as far as there are any."""
    position = 2
    while position + 2 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position
        if marker == _END_OF_IMAGE:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            found = _MARKER.search(data, position)
            if found is None:
                return
            position = found.start()

"""Camera raws by the preview that the camera embedded: by rawpy (LibRaw). Developed only where there is none."""

from __future__ import annotations

import io

import numpy as np
import rawpy

from models.jpeg import decode_jpeg
from models.pixels import RgbImage, UnreadableImage, check_size, oriented

# A preview whose longer side is below this many pixels is a thumbnail: the raw is developed instead.
_SMALLEST_PREVIEW = 640
# LibRaw's flip as an EXIF orientation.
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}


def decode_raw(data: bytes) -> RgbImage:
    """The embedded preview, upright. Raises UnreadableImage for what LibRaw does not know."""
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes = raw.sizes
            check_size(sizes.width, sizes.height)
            preview = _preview(raw, _ORIENTATIONS.get(sizes.flip, 1))
            if preview is not None and max(preview.shape) >= min(_SMALLEST_PREVIEW, max(sizes.width, sizes.height)):
                return preview
            return np.ascontiguousarray(raw.postprocess(use_camera_wb=True, output_bps=8))
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnreadableImage("a camera raw of a kind that is not read") from error


def _preview(raw: rawpy.RawPy, orientation: int) -> RgbImage | None:
    try:
        thumbnail = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if thumbnail.format == rawpy.ThumbFormat.BITMAP:
        return oriented(np.asarray(thumbnail.data, dtype=np.uint8), orientation)
    return decode_jpeg(bytes(thumbnail.data), orientation)

"""Pictures in formats that the libraries of the tests do not write by themselves."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageCms

# 96 x 64: red, green and blue quarters, and a black one. Written once, since HEVC encoders are under the GPL.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAUJtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "AA5waXRtAAAAAAABAAAAImlsb2MAAAAAREAAAQABAAAAAAFmAAEAAAAAAAAAigAAACNpaW5mAAAAAAABAAAAFWluZmUCAAAAAAEA"
    "AGh2YzEAAAAAwmlwcnAAAACkaXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3Bl"
    "AAAAAAAAAGAAAABAAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAAAAAAAAAAEAAQOBAgMAAACSbWRhdAAAAIYoAa8TgHkkRci///gp"
    "Uf/utZ4fg6i8EsF/IWD/4jbf+yHmKodSalk2NThpxyBUVA3K0jgs1V0EiQAjox4tEyEn0cqqLR3jQ2syuIToL/tWhI/FWSf+RiXe"
    "mJkrH0bQf+Wnv4sAjdnzhYZtSWp42BK5dFeXAAAGsX1qgeAP+QY2QgiPnFwpIA=="
)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture in a format that Pillow writes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def dng(preview: npt.NDArray[np.uint8], sensor: npt.NDArray[np.uint16], orientation: int = 1) -> bytes:
    """A camera raw: a JPEG preview (height, width, 3; Y, Cb, Cr), and what the sensor saw, one colour a pixel."""
    buffer = io.BytesIO()
    matrix = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    tags = [
        (50706, 1, 4, b"\x01\x04\x00\x00", True),
        (50708, 2, 0, "Camera", True),
        (271, 2, 0, "Maker", True),
        (272, 2, 0, "Model", True),
        (274, 3, 1, orientation, True),
        (50721, 10, 9, matrix, True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50778, 3, 1, 21, True),
    ]
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\x00\x01\x01\x02", True), (50717, 4, 1, 65535, True)]
    with tifffile.TiffWriter(buffer) as writer:
        as_jpeg = {"photometric": "ycbcr", "compression": "jpeg", "rowsperstrip": preview.shape[0]}
        writer.write(preview, subfiletype=1, metadata=None, subifds=1, extratags=tags, **as_jpeg)
        writer.write(sensor, photometric=32803, subfiletype=0, metadata=None, extratags=pattern)
    return buffer.getvalue()


def profile_with_swapped_colours() -> bytes:
    """The ICC profile of a device whose red is sRGB's blue: sRGB's, with the tags rXYZ and bXYZ exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)

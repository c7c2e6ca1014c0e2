"""Pictures of every format, damaged at random: what a decoder may find on a disk. Run in a process of its own.

    python -m tests.builders.mutations COUNT SEED

prints how many were read and how many were refused, by format, and the number of the one at work where it ends.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from models.images import UnreadableImage, decode, inspect
from tests.builders.pictures import HEIC, dng, encoded, profile_with_swapped_colours

_MOST_PAGES = 12
_MEMORY = 4 * 2**30


def pictures() -> dict[str, bytes]:
    """A small picture in every format, and TIFFs of many kinds."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:48, 0:64]
    colours = (np.stack([rows * 5, columns * 4, rows + columns], axis=2) % 256).astype(np.uint8)
    colours[::7, ::5] = random.integers(0, 256, colours[::7, ::5].shape)
    picture = Image.fromarray(colours)
    kinds = ("JPEG", "PNG", "WEBP", "JPEG2000", "AVIF", "BMP", "GIF", "PDF", "TIFF")
    found = {kind: encoded(picture, kind) for kind in kinds}
    found["progressive JPEG"] = encoded(picture, "JPEG", progressive=True, icc_profile=profile_with_swapped_colours())
    found["PNG of 16 bits"] = bytes(imagecodecs.png_encode(colours.astype(np.uint16) * 257))
    found["JXL"] = bytes(imagecodecs.jpegxl_encode(colours))
    found["HEIC"] = HEIC
    found["DNG"] = dng(np.zeros((96, 160, 3), np.uint8), random.integers(0, 4000, (48, 64)).astype(np.uint16))
    for name, data in _tiffs(colours):
        found[f"TIFF, {name}"] = data
    return found


def _tiffs(colours: npt.NDArray[np.uint8]) -> Iterator[tuple[str, bytes]]:
    deep, gray = colours.astype(np.uint16) * 257, np.ascontiguousarray(colours[:, :, 0])
    for compression in ("lzw", "zlib", "packbits", "jpeg", "zstd"):
        yield compression, _tiff(colours, compression=compression, photometric="rgb")
    yield "planes", _tiff(deep.transpose(2, 0, 1).copy(), planarconfig="separate", photometric="rgb", compression="lzw")
    yield "tiles", _tiff(deep, tile=(16, 16), compression="zlib", photometric="rgb", predictor=True)
    yield "float", _tiff(gray.astype(np.float32) / 255, photometric="minisblack", compression="zlib")
    yield "CIELab", _tiff(deep, photometric="cielab")
    pages = io.BytesIO()
    fax = [Image.fromarray(gray > 100) for _ in range(3)]
    fax[0].save(pages, "TIFF", save_all=True, append_images=fax[1:], compression="group4")
    yield "fax", pages.getvalue()


def _tiff(values: npt.NDArray[np.generic], **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """The file with some bits flipped, bytes overwritten, a section removed or repeated, or its end cut off."""
    out = bytearray(data)
    kind = random.integers(0, 6)
    # Headers are small, and what they say matters most.
    reach = len(out) if random.random() < 0.5 else min(len(out), 400)
    if kind == 0:
        del out[int(random.integers(1, len(out))) :]
    elif kind == 1:
        start = int(random.integers(0, len(out)))
        del out[start : start + int(random.integers(1, 64))]
    elif kind == 2:
        start = int(random.integers(0, len(out)))
        out[start:start] = out[start : start + int(random.integers(1, 64))]
    elif kind == 3:
        for place in random.integers(0, reach, random.integers(1, 4)):
            out[place : place + 4] = random.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
    else:
        for place in random.integers(0, reach, random.integers(1, 12)):
            out[place] ^= 1 << int(random.integers(0, 8))
    return bytes(out)


def main() -> None:
    """Decode COUNT damaged pictures."""
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    originals = list(pictures().items())
    outcomes: dict[str, Counter[str]] = {name: Counter() for name, _ in originals}
    slowest = 0.0
    for number in range(count):
        random = np.random.default_rng((seed, number))
        name, original = originals[number % len(originals)]
        data = mutated(original, random)
        print(number, file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            pages = inspect(data).pages
        except UnreadableImage:
            pages = 1
        for page in range(1, min(pages, _MOST_PAGES) + 1):
            try:
                decode(data, page if pages > 1 else None)
                outcomes[name]["read"] += 1
            except UnreadableImage as error:
                reason = str(error)
                outcomes[name]["damaged" if "damaged" in reason else reason.partition(" (")[0][:40]] += 1
        slowest = max(slowest, time.monotonic() - began)
    print(json.dumps({"slowest_s": round(slowest, 2), "outcomes": outcomes}))


if __name__ == "__main__":
    main()

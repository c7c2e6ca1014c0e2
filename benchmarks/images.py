"""Decoding: `models.images` against Pillow alone, as Facestream decoded before, by format and size.

    python -m benchmarks.images [--sizes 1 20 100 279] [--formats JPEG ...]

Each measurement runs in a process of its own, so that its peak memory is its own. It is what decoding adds to a process
with the file in memory; the ratios are of two runs next to each other.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

_FORMATS = ("JPEG", "TIFF, LZW", "TIFF, 16 bit", "JPEG 2000")


def picture(megapixels: float) -> npt.NDArray[np.uint8]:
    """Soft shapes with the grain of a scan, 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    random = np.random.default_rng(1)
    soft = Image.fromarray(random.integers(0, 256, (24, 36, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = np.tile(random.integers(0, 12, (512, 512, 1), np.uint8), (height // 512 + 1, width // 512 + 1, 1))
    shaded: npt.NDArray[np.uint8] = (np.asarray(soft) // 16 * 15) + grain[:height, :width]
    return shaded


def encoded(kind: str, image: npt.NDArray[np.uint8]) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    if kind == "JPEG":
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
    elif kind == "JPEG 2000":
        return bytes(imagecodecs.jpeg2k_encode(image, level=40, numthreads=2))
    elif kind == "TIFF, LZW":
        tifffile.imwrite(buffer, image, photometric="rgb", compression="lzw", predictor=True, rowsperstrip=64)
    else:
        tifffile.imwrite(buffer, image.astype(np.uint16) * 257, photometric="rgb")
    return buffer.getvalue()


def by_pillow(data: bytes) -> npt.NDArray[Any]:
    """As Facestream decoded before: Pillow for everything."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(data)) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return np.ascontiguousarray(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))


def measure(path: Path, which: str) -> None:
    """Decode once, in this process; prints seconds and the peak of memory above what was there, in MiB."""
    from models.images import decode

    data = path.read_bytes()
    decoder = decode if which == "facestream" else by_pillow
    decoder(encoded("JPEG", np.zeros((64, 64, 3), np.uint8)))
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_mib()
    began = time.perf_counter()
    image = decoder(data)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "mib": _peak_mib() - before, "pixels": image.shape[0] * image.shape[1]}))


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def run(path: Path, which: str, repeat: int) -> dict[str, float]:
    """The fastest of some runs."""
    command = [sys.executable, "-m", "benchmarks.images", "--measure", str(path), "--which", which]
    results = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(repeat)
    ]
    return {"seconds": min(result["seconds"] for result in results), "mib": max(result["mib"] for result in results)}


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=float, nargs="+", default=[1, 20, 100], help="in megapixels")
    arguments.add_argument("--formats", nargs="+", default=_FORMATS, choices=_FORMATS)
    arguments.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--which", default="facestream", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        measure(given.measure, given.which)
        return
    table = Table("file", "megapixels", "Pillow, s", "now, s", "ratio", "Pillow, MiB", "now, MiB")
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.formats:
            for size in given.sizes:
                path = Path(folder, "picture")
                path.write_bytes(encoded(kind, picture(size)))
                repeat = 3 if size <= 20 else 1
                peer, ours = run(path, "pillow", repeat), run(path, "facestream", repeat)
                table.add_row(
                    kind,
                    f"{size:g}",
                    f"{peer['seconds']:.3f}",
                    f"{ours['seconds']:.3f}",
                    f"{peer['seconds'] / ours['seconds']:.2f}",
                    f"{peer['mib']:,.0f}",
                    f"{ours['mib']:,.0f}",
                )
                print(kind, size, peer, ours, file=sys.stderr, flush=True)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

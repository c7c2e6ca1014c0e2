"""How old photographs and their paper look: tones, wear, paper, ink.

All randomness comes from the generator that is passed in. Faces and files are the business of `sample.archive`, which
makes scans with these functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

Picture = npt.NDArray[np.float32]
"""An image in progress: float32, shape (height, width, 3), red, green, blue from 0 (dark) to 1 (light)."""

Random = np.random.Generator

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_INK = (52, 48, 70)
_STAMP = (120, 44, 52)


def gray(picture: Picture) -> Picture:
    """Black and white: ITU-R BT.601 luma in all three channels."""
    return np.repeat((picture @ _LUMA)[..., np.newaxis], 3, axis=2).astype(np.float32)


def sepia(picture: Picture) -> Picture:
    """A toned silver print: black becomes dark brown, white becomes cream."""
    dark, light = np.array([0.16, 0.09, 0.05], np.float32), np.array([0.97, 0.90, 0.76], np.float32)
    return dark + gray(picture) * (light - dark)


def faded(picture: Picture) -> Picture:
    """A colour print that hung in the light: little contrast, a yellow cast."""
    cast = np.array([0.06, 0.02, -0.08], np.float32)
    return _within(0.34 + 0.25 * (picture + gray(picture)) + cast)


def soft(picture: Picture) -> Picture:
    """Out of focus, by 1.2 pixels."""
    return np.asarray(gaussian_filter(gray(picture), (1.2, 1.2, 0)), np.float32)


def dark(picture: Picture) -> Picture:
    """Printed too dark."""
    return (0.75 * gray(picture) ** 1.5).astype(np.float32)


def grain(picture: Picture, random: Random, strength: float) -> Picture:
    """Film grain: noise of this standard deviation, alike in all channels."""
    noise = random.normal(0, strength, picture.shape[:2]).astype(np.float32)
    return _within(picture + noise[..., np.newaxis])


def scratched(picture: Picture, random: Random, scratches: int) -> Picture:
    """Thin bright scratches from top to bottom, and dust."""
    worn = picture.copy()
    height, width, _ = worn.shape
    for _ in range(scratches):
        columns = random.uniform(0, width) + np.cumsum(random.normal(0, 0.25, height))
        worn[np.arange(height), np.clip(columns, 0, width - 1).astype(int)] += 0.25
    dust = random.random((height, width)) < 0.0006
    worn[dust] = 0.95
    return _within(worn)


def paper(width: int, height: int, colour: tuple[float, float, float], random: Random) -> Picture:
    """Blank paper of this colour (0 to 1): blotchy, fibrous, browner towards its edges."""
    blotches = gaussian_filter(random.normal(0, 1, (height, width)), 25)
    blotches *= 0.03 / blotches.std()
    fibres = gaussian_filter(random.normal(0, 1, (height, width)), 0.7) * 0.025
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    edges = -0.10 * np.maximum(np.abs(x), np.abs(y)) ** 6
    shade = (blotches + fibres + edges)[..., np.newaxis]
    return _within(np.array(colour) + shade)


def write_lines(sheet: Image.Image, lines: int, area: tuple[int, int, int, int], random: Random) -> None:
    """Draw something like handwriting, in ink, into an area (left, top, right, bottom) in pixels."""
    draw = ImageDraw.Draw(sheet)
    left, top, right, bottom = area
    step = min((bottom - top) / lines, 44)
    for line in range(lines):
        x, base = left + random.uniform(0, 20), top + (line + 0.6) * step
        end = right - random.uniform(0, (right - left) * 0.3)
        while x < end:
            word = random.uniform(25, 70)
            t = np.arange(0, word, 1.0)
            pen = random.uniform(0.7, 1.1)
            xs = x + t + 3 * np.sin(pen * t)
            ys = base - step * 0.16 * (np.sin(pen * t + 1) + 0.5 * np.sin(0.31 * pen * t + random.uniform(0, 6)))
            draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=_INK, width=2)
            x += word + random.uniform(10, 18)


def stamp(sheet: Image.Image, centre: tuple[int, int], random: Random) -> None:
    """Draw a photographer's stamp: two rings with a bar across, and a box for the number beside it."""
    draw = ImageDraw.Draw(sheet)
    x, y = centre
    for radius in (46, 38):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_STAMP, width=3)
    draw.rectangle((x - 60, y - 9, x + 60, y + 9), outline=_STAMP, fill=(214, 196, 176), width=3)
    for stroke in range(-50, 50, 9):
        height = int(random.integers(3, 7))
        draw.line((x + stroke, y - height, x + stroke + 4, y + height), fill=_STAMP, width=2)
    draw.rectangle((x + 75, y - 18, x + 150, y + 18), outline=_STAMP, width=2)


def as_image(picture: Picture) -> Image.Image:
    """The picture as an RGB image of 8 bits a channel."""
    return Image.fromarray((picture * 255 + 0.5).astype(np.uint8))


def as_picture(image: Image.Image) -> Picture:
    """An image of any mode as float32."""
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)


def _within(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(values, 0, 1), np.float32)

"""Colours to sRGB: ICC profiles, transparency on white, inks, palettes and CIE L*a*b*."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from models.pixels import RgbImage

Transform = Callable[[Image.Image], Image.Image]
"""From an image in the mode of a profile to RGB."""

# A profile that moves no colour by more than this many levels is sRGB by another name.
_SAME = 3
# Bradford-adapted sRGB from XYZ with the white point D50 (IEC 61966-2-1 and ICC.1:2010, annex E).
_RGB_OF_XYZ = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]],
    dtype=np.float32,
)
_D50 = np.array([0.96422, 1.0, 0.82521], dtype=np.float32)


def transform_of(profile: bytes | None, mode: str) -> Transform | None:
    """The transform from an ICC profile to sRGB, for 8-bit images of a mode (L, RGB, CMYK or LAB).

    None without a profile, for a profile that is damaged or of another colour space, and for sRGB itself.
    """
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
        if mode in ("L", "RGB") and _moves_nothing(transform, mode):
            return None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None

    def applied(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        return image.convert("RGB") if converted is None else converted

    return applied


def _moves_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    probe = Image.fromarray(grid) if mode == "RGB" else Image.fromarray(grid[:, :, 0])
    moved = ImageCms.applyTransform(probe, transform)
    difference = np.asarray(moved).astype(int) - np.asarray(probe.convert("RGB"))
    return bool(np.abs(difference).max() <= _SAME)


def on_white(colours: RgbImage, alpha: npt.NDArray[np.uint8], *, premultiplied: bool) -> RgbImage:
    """Colours (height, width, 3) with transparency (height, width) on white paper.

    premultiplied: the colours were multiplied by their opacity (the TIFF's associated alpha).
    """
    opacity = alpha.astype(np.uint16)[:, :, None]
    weighted = colours.astype(np.uint16) if premultiplied else (colours.astype(np.uint16) * opacity + 127) // 255
    mixed: RgbImage = np.minimum(weighted + (255 - opacity), 255).astype(np.uint8)
    return mixed


def rgb_of_lab(lab: npt.NDArray[np.float32]) -> RgbImage:
    """CIE L*a*b* with the white point D50 (height, width, 3; L* from 0 to 100) as sRGB."""
    y = (lab[:, :, 0] + 16) / 116
    cubes = np.stack([y + lab[:, :, 1] / 500, y, y - lab[:, :, 2] / 200], axis=2)
    linear = np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * (3 * (6 / 29) ** 2))
    rgb: npt.NDArray[np.float32] = np.clip((linear * _D50) @ _RGB_OF_XYZ.T, 0, 1)
    encoded = np.where(rgb <= 0.0031308, rgb * 12.92, 1.055 * rgb ** (1 / 2.4) - 0.055)
    eight: RgbImage = (encoded * 255).round().astype(np.uint8)
    return eight

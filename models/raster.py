"""From images as Pillow opens them, and from arrays of 8-bit samples, to RGB: band by band, to keep copies small."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from models.colour import on_white, transform_of
from models.depth import to_eight_bits
from models.pixels import RgbImage, UnreadableImage, bands, check_size, oriented

# Pillow's own limit is lower than models.pixels.MAX_PIXELS, which is checked instead before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
_EXIF_ORIENTATION = 0x0112
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


def opened(file: IO[bytes], formats: list[str] | tuple[str, ...]) -> Image.Image:
    """Open an image with Pillow, without decoding it. The size is checked by our limit instead of Pillow's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=formats)
        except UnidentifiedImageError as error:
            raise UnreadableImage("the image is damaged: its beginning cannot be read") from error
    check_size(image.width, image.height)
    return image


def rgb_of_pillow(image: Image.Image) -> RgbImage:
    """An image of Pillow in RGB: turned by its EXIF orientation, its profile applied, transparency on white.

    Peak memory: 4 bytes a pixel of Pillow's own for colour, 3 for the result, and 3 more where the image is turned.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.load()
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        gray = to_eight_bits(values, 16 if values.dtype.itemsize == 2 else 32 if values.max(initial=0) > 65535 else 16)
        rgb = rgb_of_samples(Samples(gray[:, :, None], "L", image.info.get("icc_profile")))
    else:
        rgb = _in_bands(image)
    return oriented(rgb, orientation if isinstance(orientation, int) else 1)


def _in_bands(image: Image.Image) -> RgbImage:
    transparent = image.mode in _WITH_ALPHA or "transparency" in image.info
    convert = _opaque(image)
    if transparent:
        convert = _ignoring_alpha(image) if _alpha_was_never_filled_in(image) else _laid_on_white(image)
    rgb = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for rows in bands(image.width, image.height):
        band = image.crop((0, rows.start, image.width, rows.stop))
        if "transparency" in image.info:
            band.info["transparency"] = image.info["transparency"]
        rgb[rows] = convert(band)
    return rgb


def _alpha_was_never_filled_in(image: Image.Image) -> bool:
    """Whether the alpha channel is zero everywhere above colours that make a picture: that picture is opaque."""
    opacity = image.info.get("transparency")
    if image.mode == "P" and isinstance(opacity, bytes):
        # An opacity for each colour of the palette; those beyond it are opaque.
        used = [number for number, count in enumerate(image.histogram()) if count]
        return len(used) > 1 and all(number < len(opacity) and opacity[number] == 0 for number in used)
    if image.mode not in _WITH_ALPHA:
        return False
    *colours, alpha = [image.getchannel(number).getextrema() for number in range(len(image.getbands()))]
    return alpha == (0, 0) and any(extrema != (extrema[0], extrema[0]) for extrema in colours)


_Convert = Callable[[Image.Image], npt.NDArray[np.uint8]]


def _opaque(image: Image.Image) -> _Convert:
    """By way of the profile where it is of the image's colour space; a gray image may have a profile for RGB too."""
    mode = image.mode if image.mode in ("L", "RGB", "CMYK", "LAB") else "L" if image.mode == "1" else "RGB"
    profile = image.info.get("icc_profile")
    transform = transform_of(profile, mode)
    if transform is None and mode == "L":
        mode, transform = "RGB", transform_of(profile, "RGB")

    def convert(band: Image.Image) -> npt.NDArray[np.uint8]:
        if transform is None:
            return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
        return np.asarray(transform(band if band.mode == mode else band.convert(mode)))

    return convert


def _ignoring_alpha(image: Image.Image) -> _Convert:
    def convert(band: Image.Image) -> npt.NDArray[np.uint8]:
        if image.mode in ("P", "PA"):
            band.info.pop("transparency", None)
            return np.asarray(band.convert("RGB"))
        # Pillow would drop the colours of premultiplied pixels without opacity.
        channels = np.asarray(band)[:, :, :-1]
        return np.asarray(np.repeat(channels, 3 // channels.shape[2], axis=2))

    return convert


def _laid_on_white(image: Image.Image) -> _Convert:
    opaque = transform_of(image.info.get("icc_profile"), "RGB")

    def convert(band: Image.Image) -> npt.NDArray[np.uint8]:
        rgba = band.convert("RGBA") if band.mode != "La" else band.convert("LA").convert("RGBA")
        colours = rgba.convert("RGB")
        if opaque is not None:
            colours = opaque(colours)
        return on_white(np.asarray(colours), np.asarray(rgba)[:, :, 3], premultiplied=False)

    return convert


@dataclass(frozen=True)
class Samples:
    """A decoded image: uint8 samples, shape (height, width, channels), in a mode of Pillow (L, RGB or CMYK)."""

    colours: npt.NDArray[np.uint8]
    mode: str
    profile: bytes | None = None
    alpha: npt.NDArray[np.uint8] | None = None
    premultiplied: bool = False


def rgb_of_samples(samples: Samples) -> RgbImage:
    """8-bit samples in RGB: the profile applied, transparency on white."""
    height, width, channels = samples.colours.shape
    transform = transform_of(samples.profile, samples.mode)
    if transform is None and samples.mode == "L":
        to_rgb = transform_of(samples.profile, "RGB")
        transform = None if to_rgb is None else lambda gray: to_rgb(gray.convert("RGB"))
    alpha = samples.alpha
    if alpha is not None and not alpha.any() and (samples.colours != samples.colours[:1, :1]).any():
        alpha = None  # It was never filled in.
    if transform is None and alpha is None and samples.mode == "RGB":
        return np.ascontiguousarray(samples.colours)
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    for rows in bands(width, height):
        band = samples.colours[rows]
        if (transform is None and channels == 1) or (transform is None and samples.mode == "RGB"):
            rgb[rows] = band
        else:
            image = Image.frombytes(samples.mode, (width, band.shape[0]), np.ascontiguousarray(band).tobytes())
            rgb[rows] = np.asarray(image.convert("RGB") if transform is None else transform(image))
        if alpha is not None:
            rgb[rows] = on_white(rgb[rows], alpha[rows], premultiplied=samples.premultiplied)
    return rgb

"""Photographs made from the two portraits that the sample archive is made from (see producers.sample)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from models.images import RgbImage
from sample import paper
from sample.archive import COLLINS, HOPPER, Portrait


def portrait_of(portrait: Portrait, face: int, reach: float = 1.4) -> Image.Image:
    """A square piece with the face in its middle, so many pixels wide, and `reach` times that around its middle."""
    spec = find_spec(portrait.package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{portrait.package}: pip install --group sample")
    left, top, right, bottom = portrait.face
    side = (right - left) * reach / 2
    middle = ((left + right) / 2, (top + bottom) / 2)
    with Image.open(Path(spec.submodule_search_locations[0], portrait.path)) as image:
        piece = image.convert("RGB").crop(
            (round(middle[0] - side), round(middle[1] - side), round(middle[0] + side), round(middle[1] + side))
        )
    size = round(face * reach)
    return piece.resize((size, size), Image.Resampling.LANCZOS)


def group_photo() -> RgbImage:
    """Three faces of about 100 pixels, 500 x 375: Hopper, Collins, and Hopper mirrored on old paper."""
    photo = Image.fromarray(_grainy(500, 375))
    mirrored = paper.as_image(paper.sepia(paper.as_picture(ImageOps.mirror(portrait_of(HOPPER, 88, 1.7)))))
    for place, piece in (
        ((5, 60), portrait_of(HOPPER, 100, 1.55)),
        ((170, 140), portrait_of(COLLINS, 94, 1.6)),
        ((338, 40), mirrored),
    ):
        photo.paste(piece, place)
    return np.asarray(photo)


def made_photographs() -> dict[str, RgbImage]:
    """Few and small ones, as dlib takes seconds for each: a group, a scratched print, a close face, a crowd."""
    generator = np.random.default_rng(7)
    scratched = paper.scratched(paper.sepia(paper.as_picture(portrait_of(HOPPER, 110, 2.0))), generator, 9)
    return {
        "group": group_photo(),
        "scratched": np.asarray(paper.as_image(scratched)),
        "close": np.asarray(portrait_of(COLLINS, 170, 1.2)),
        "crowd": _crowd(),
    }


def _crowd() -> RgbImage:
    """Nine small faces."""
    photo = Image.fromarray(_grainy(240, 240))
    for number in range(9):
        piece = portrait_of((HOPPER, COLLINS)[number % 2], 46 + number, 1.35)
        photo.paste(piece, (number % 3 * 80 + 3, number // 3 * 80 + 3))
    return np.asarray(photo)


def _grainy(width: int, height: int) -> RgbImage:
    return np.random.default_rng(3).integers(90, 160, (height, width, 3), dtype=np.uint8)

"""The sample archive, for users who have no scans at hand: about thirty scans of two people, with known truth.

They are made from two public-domain portraits that ship inside well-known wheels, Grace Hopper (matplotlib's sample
data) and Eileen Collins (scikit-image's), and are the same each time. `sample.paper` makes paper and age.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from errors import UserError
from sample import paper
from sample.paper import Picture, Random
from sample.truth import TrueFace, Truth
from schemas.scans import Box

SEED = 1871
TRUTH_FILE = "truth.json"

_TRUTH = TypeAdapter(dict[str, tuple[TrueFace, ...]])


@dataclass(frozen=True)
class Portrait:
    """A portrait in an installed package. `face` is a square around the face: left, top, right, bottom in pixels."""

    person: str
    package: str
    path: str
    face: tuple[int, int, int, int]


HOPPER = Portrait("Grace Hopper", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (191, 146, 355, 310))
COLLINS = Portrait("Eileen Collins", "skimage", "data/astronaut.png", (168, 69, 263, 164))


@dataclass(frozen=True)
class Print:
    """A photograph on paper.

    tone: what the print does to colours. face: the side of the face in pixels. tilt: in degrees, counterclockwise.
    reach: how much of the portrait is on it, in face sides from the face's middle to the left, up, right and down.
    border: the white border, in pixels.
    """

    portrait: Portrait
    tone: Callable[[Picture], Picture]
    face: int = 110
    tilt: float = 0.0
    reach: tuple[float, float, float, float] = (1.3, 1.2, 1.3, 1.9)
    border: int = 8


@dataclass(frozen=True)
class Sheet:
    """A scanned page: the prints on it, its size in pixels (width, height), and its wear.

    prints: each with the position of its middle, x and y from 0 to 1. colour: red, green, blue from 0 to 1. grain: the
    standard deviation of the noise, from 0 to 1. lines: of handwriting.
    """

    prints: tuple[tuple[Print, float, float], ...] = ()
    size: tuple[int, int] = (420, 500)
    colour: tuple[float, float, float] = (0.88, 0.82, 0.70)
    grain: float = 0.02
    scratches: int = 0
    lines: int = 0
    stamped: bool = False


_ALBUM = (0.45, 0.40, 0.35)
_WIDE = (640, 440)


def _single(photo: Print, **wear: int | float) -> Sheet:
    return Sheet(((photo, 0.5, 0.48),), **wear)  # type: ignore[arg-type]


def _page(left: Print, right: Print, **wear: int | float) -> Sheet:
    return Sheet(((left, 0.26, 0.45), (right, 0.74, 0.47)), _WIDE, _ALBUM, lines=1, **wear)  # type: ignore[arg-type]


def _back(lines: int, stamped: bool = False) -> Sheet:
    return Sheet(lines=lines, stamped=stamped, grain=0.015)


_NARROW = (0.95, 1.1, 0.95, 1.5)

# Each file with its pages.
_PLAN: dict[str, tuple[Sheet, ...]] = {
    "album/page_01.jpg": (_page(Print(HOPPER, paper.sepia, 105, 3), Print(COLLINS, paper.sepia, 100, -2)),),
    "album/page_02.jpg": (_page(Print(COLLINS, paper.gray, 100, -5), Print(HOPPER, paper.gray, 100, 2), grain=0.03),),
    "album/page_03.png": (_page(Print(HOPPER, paper.faded, 100, 1), Print(COLLINS, paper.faded, 105, 4)),),
    "album/page_04.jp2": (_page(Print(COLLINS, paper.sepia, 105, 6), Print(HOPPER, paper.soft, 105, -4)),),
    "album/page_05.webp": (_page(Print(HOPPER, paper.gray, 100, -3), Print(COLLINS, paper.dark, 105, 1)),),
    "album/page_06.jpg": (_page(Print(HOPPER, paper.sepia, 95, -6), Print(HOPPER, paper.faded, 110, 3)),),
    "album/page_07.tif": (_page(Print(COLLINS, paper.faded, 105, -3), Print(COLLINS, paper.gray, 95, 4)),),
    "backs/back_01.jpg": (_back(5),),
    "backs/back_02.png": (_back(2, stamped=True),),
    "backs/back_03.webp": (_back(7),),
    "backs/back_04.jp2": (_back(1, stamped=True),),
    "backs/back_05.tif": (_back(4, stamped=True),),
    "prints/collins_01.jpg": (_single(Print(COLLINS, paper.sepia, 115)),),
    "prints/collins_02.jpg": (_single(Print(COLLINS, paper.gray, 120, 9), grain=0.05),),
    "prints/collins_03.png": (_single(Print(COLLINS, paper.faded, 110, -7)),),
    "prints/collins_04.jp2": (_single(Print(COLLINS, paper.gray, 125, reach=_NARROW), scratches=9),),
    "prints/collins_05.webp": (_single(Print(COLLINS, paper.soft, 115, 4)),),
    "prints/collins_06.tiff": (_single(Print(COLLINS, paper.dark, 120, -3)),),
    "prints/hopper_01.jpg": (_single(Print(HOPPER, paper.sepia, 120, -1)),),
    "prints/hopper_02.jpg": (_single(Print(HOPPER, paper.gray, 130, -8), grain=0.05),),
    "prints/hopper_03.png": (_single(Print(HOPPER, paper.faded, 115, 6)),),
    "prints/hopper_04.jp2": (_single(Print(HOPPER, paper.sepia, 130, reach=_NARROW), scratches=9),),
    "prints/hopper_05.webp": (_single(Print(HOPPER, paper.soft, 120, 3)),),
    "prints/hopper_06.jpg": (_single(Print(HOPPER, paper.dark, 120, -5), grain=0.03),),
    "prints/hopper_16bit.tif": (_single(Print(HOPPER, paper.gray, 125, 2)),),
    "prints/collins_16bit.tif": (_single(Print(COLLINS, paper.gray, 110, -2)),),
    "prints/folder_7.tif": (
        _single(Print(HOPPER, paper.sepia, 110, 5)),
        _back(3, stamped=True),
        _single(Print(COLLINS, paper.sepia, 110, -4)),
    ),
    "prints/strip.jpg": (_page(Print(HOPPER, paper.dark, 105, 0), Print(COLLINS, paper.soft, 105, 2), scratches=6),),
}


def build_sample(folder: Path, seed: int = SEED) -> Truth:
    """Write the sample archive and its truth (truth.json) into a folder, and return the truth.

    Files of the same names are overwritten. Raises UserError when the packages with the portraits are not installed.
    """
    portraits = {portrait: _load(portrait) for portrait in (HOPPER, COLLINS)}
    truth: dict[str, tuple[TrueFace, ...]] = {}
    for number, (name, sheets) in enumerate(_PLAN.items()):
        images = []
        for page, sheet in enumerate(sheets, start=1):
            picture, faces = _draw(sheet, portraits, np.random.default_rng([seed, number, page]))
            images.append(paper.as_image(picture))
            truth[f"{name}#page={page}" if len(sheets) > 1 else name] = faces
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(images, path)
    (folder / TRUTH_FILE).write_bytes(_TRUTH.dump_json(truth, indent=1))
    return truth


def read_truth(folder: Path) -> Truth:
    """The truth of the sample archive in a folder, from its truth.json."""
    return _TRUTH.validate_json((folder / TRUTH_FILE).read_bytes())


def _load(portrait: Portrait) -> Image.Image:
    spec = find_spec(portrait.package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, portrait.path)).is_file():
            with Image.open(path) as image:
                return image.convert("RGB")
    raise UserError(
        "the sample archive is made from portraits inside matplotlib and scikit-image, which are not installed: "
        "pip install matplotlib scikit-image"
    )


def _draw(sheet: Sheet, portraits: dict[Portrait, Image.Image], random: Random) -> tuple[Picture, tuple[TrueFace, ...]]:
    width, height = sheet.size
    image = paper.as_image(paper.paper(width, height, sheet.colour, random))
    faces = []
    for photo, x, y in sheet.prints:
        middle = (round(x * width), round(y * height))
        faces.append(_stick(image, photo, middle, portraits[photo.portrait], random))
    if sheet.lines:
        top = round(height * 0.9) if sheet.prints else round(height * 0.1)
        paper.write_lines(image, sheet.lines, (40, top, width - 40, height - 10), random)
    if sheet.stamped:
        paper.stamp(image, (round(width * 0.4), round(height * 0.8)), random)
    picture = paper.grain(paper.as_picture(image), random, sheet.grain)
    if sheet.scratches:
        picture = paper.scratched(picture, random, sheet.scratches)
    return picture, tuple(faces)


def _stick(
    sheet: Image.Image, photo: Print, middle: tuple[int, int], portrait: Image.Image, random: Random
) -> TrueFace:
    """Paste a print onto a sheet, and return the box of its face there."""
    left, top, right, bottom = photo.portrait.face
    side, face_x, face_y = right - left, (left + right) / 2, (top + bottom) / 2
    reach_left, reach_up, reach_right, reach_down = (side * sides for sides in photo.reach)
    area = (
        max(0, round(face_x - reach_left)),
        max(0, round(face_y - reach_up)),
        min(portrait.width, round(face_x + reach_right)),
        min(portrait.height, round(face_y + reach_down)),
    )
    scale = photo.face / side
    size = (round((area[2] - area[0]) * scale), round((area[3] - area[1]) * scale))
    toned = photo.tone(paper.as_picture(portrait.resize(size, Image.Resampling.LANCZOS, box=area)))
    toned = paper.grain(toned, random, 0.01)

    border = photo.border
    mounted = Image.new("RGBA", (size[0] + 2 * border, size[1] + 2 * border), (236, 228, 208, 255))
    mounted.paste(paper.as_image(toned), (border, border))
    turned = mounted.rotate(photo.tilt, Image.Resampling.BICUBIC, expand=True)
    sheet.paste(turned, (middle[0] - turned.width // 2, middle[1] - turned.height // 2), turned)

    # The middle of the face is (across, down) from the middle of the print before that is turned; y points down, so a
    # counterclockwise turn by `angle` takes it to (across cos + down sin, -across sin + down cos).
    across = (face_x - (area[0] + area[2]) / 2) * scale
    down = (face_y - (area[1] + area[3]) / 2) * scale
    angle = math.radians(photo.tilt)
    x = middle[0] + across * math.cos(angle) + down * math.sin(angle)
    y = middle[1] - across * math.sin(angle) + down * math.cos(angle)
    half = photo.face / 2
    box = Box(
        left=(x - half) / sheet.width,
        top=(y - half) / sheet.height,
        right=(x + half) / sheet.width,
        bottom=(y + half) / sheet.height,
    )
    return TrueFace(person=photo.portrait.person, box=box)


def _save(images: list[Image.Image], path: Path) -> None:
    first, *others = images
    if "16bit" in path.name:
        # Archives scan gray at 16 bits. The factor 257 maps 255 to 65535.
        Image.fromarray(np.asarray(first.convert("L"), np.uint16) * 257).save(path)
    elif path.suffix in (".tif", ".tiff"):
        first.save(path, save_all=True, append_images=others, compression="tiff_lzw")
    else:
        first.save(path, quality=88)

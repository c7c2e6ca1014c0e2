"""Real files that archives and test suites of image libraries have: each as its README says. Skips without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.analyse import Engine
from models.images import UnreadableImage, decode, inspect
from schemas.faces import Face
from tests.builders.scans import analyse, scan

# The two portraits: Hopper is h.jpg, Collins is c.jpg, and all made from one of them are of the same person.
_MOST_DISTANCE = 0.37


@pytest.fixture(scope="module")
def files(shared_data: Path) -> Path:
    folder = shared_data / "problem_files"
    if not folder.is_dir():
        pytest.skip(f"no files at {folder}")
    return folder


def faces(engine: Engine, path: Path, **settings: object) -> tuple[Face, ...]:
    engine = replace(engine, provenance=engine.provenance.model_copy(update=settings))
    return analyse(engine, scan(), decode(path.read_bytes())).faces


@pytest.mark.parametrize(
    ("name", "pages", "unreadable"),
    [
        ("crash-2020-10-test.tif", 2, {1, 2}),
        ("crash-63b1dffefc8c075ddc606c0a2f5fdc15ece78863.tif", 1, {1}),
        ("m1-26f459b3eb2a285626b849d6950db7ab.tif", 1, {1}),
        ("m1-299787ea764c0a88bc481364eded5556.tif", 9, {1, 2, 3, 5, 6, 7, 8, 9}),
        ("m1-63c8b14ea08a18c884d05a3431716047.tif", 3, {1, 2, 3}),
        ("m4-336db1cd76254717eb50a8602b651fbf.tif", 1, {1}),
    ],
)
def test_of_a_damaged_file_each_page_is_refused_by_itself(
    files: Path, name: str, pages: int, unreadable: set[int]
) -> None:
    data = (files / name).read_bytes()
    assert inspect(data).pages == pages
    refused = set()
    for number in range(1, pages + 1):
        try:
            decode(data, number)
        except UnreadableImage as error:
            assert "damaged" in str(error)
            refused.add(number)
    assert refused == unreadable


@pytest.mark.parametrize(
    ("name", "size", "darkest", "lightest"),
    [
        ("12bit.cropped.rgb.tiff", (64, 64), 0, 200),
        ("minisblack-2c-8b-alpha.tiff", (64, 64), 100, 255),
        ("flower-rgb-planar-16.tif", (43, 73), 0, 255),
        ("ladoga.tif", (118, 158), 0, 255),
        ("dscf0013.tif", (480, 640), 0, 255),
        ("file2.jp2", (640, 480), 0, 255),
    ],
)
def test_an_unusual_file_shows_its_picture(
    files: Path, name: str, size: tuple[int, int], darkest: int, lightest: int
) -> None:
    data = (files / name).read_bytes()
    assert inspect(data).pages == 1
    image = decode(data)
    assert image.shape == (*size, 3)
    assert image.min() <= darkest
    assert image.max() >= lightest


def test_people_have_natural_colours(files: Path) -> None:
    """The skin of the woman in the middle: red above green above blue."""
    red, green, blue = decode((files / "file2.jp2").read_bytes())[165:185, 245:265].mean(axis=(0, 1))
    assert red > green > blue
    assert red - blue < 110


def test_the_planes_of_the_flower_lie_on_each_other(files: Path) -> None:
    """Shifted planes differ at edges: the channels of a photograph follow each other."""
    image = decode((files / "flower-rgb-planar-16.tif").read_bytes()).astype(float)
    left, right = image[:, :36].ravel(), image[:, 37:].ravel()
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.9
    assert np.corrcoef(image[:, :, 0].ravel(), image[:, :, 1].ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("gray16_miniswhite.tif", 0),
        ("gray16_10bit_values.tif", 0),
        ("gray16_12bit_values.tif", 0),
        ("gray16_alpha.tif", 0),
        ("rgba_alpha_all_zero.png", 0),
        ("thumb_ifd1.tif", 0),
        ("rot90_noexif.jpg", 90),
        ("rot180_noexif.jpg", 180),
    ],
)
def test_a_portrait_in_any_form_is_one_face_of_its_person(
    onnx_engine: Engine, files: Path, name: str, turn: int
) -> None:
    assert inspect((files / name).read_bytes()).pages == 1
    (expected,) = faces(onnx_engine, files / "c.jpg")
    (face,) = faces(onnx_engine, files / name)
    assert face.turn == turn
    assert np.linalg.norm(face.vector - expected.vector) < _MOST_DISTANCE


def test_a_negative_has_a_face_when_looked_for(onnx_engine: Engine, files: Path) -> None:
    assert faces(onnx_engine, files / "negative.jpg") == ()
    (face,) = faces(onnx_engine, files / "negative.jpg", negatives=True)
    assert face.negative


@pytest.mark.slow
def test_a_small_face_is_found_when_asked_for(onnx_engine: Engine, files: Path) -> None:
    assert faces(onnx_engine, files / "small_face_in_6000.jpg", turns="never") == ()
    (face,) = faces(onnx_engine, files / "small_face_in_6000.jpg", turns="never", min_face_px=60)
    assert 50 < face.quality.size_px < 80

"""Faces on scans that lie on their side or upside down, on negatives, and small ones on large scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.analyse import Engine
from models.pixels import RgbImage
from models.protocols import Detection
from models.scaling import scaled, scaled_down
from models.search import find_faces, overlap
from models.turns import on_scan, on_turned, points_on_scan, turned
from sample.archive import COLLINS, HOPPER
from schemas.faces import Provenance, ScanAnalysed
from tests.builders.photographs import group_photo, portrait_of
from tests.builders.scans import analyse, scan


def portrait(face: int = 110) -> RgbImage:
    """On paper somewhat larger than the photograph, not square, the face off the middle."""
    paper = np.full((300, 380, 3), 235, dtype=np.uint8)
    piece = np.asarray(portrait_of(COLLINS, face, 1.9))
    paper[40 : 40 + len(piece), 20 : 20 + len(piece)] = piece
    return paper


def with_settings(engine: Engine, **settings: object) -> Engine:
    return replace(engine, provenance=engine.provenance.model_copy(update=settings))


@pytest.fixture(scope="module")
def upright(onnx_engine: Engine) -> ScanAnalysed:
    return analyse(onnx_engine, scan(), portrait())


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_scan_in_another_turn_has_the_face_of_the_upright_one(
    onnx_engine: Engine, upright: ScanAnalysed, quarters: int
) -> None:
    """The scan lies turned anticlockwise, so it has to be turned clockwise."""
    lying = np.ascontiguousarray(np.rot90(portrait(), quarters))
    found = analyse(onnx_engine, scan(), lying)
    assert (found.width, found.height) == (lying.shape[1], lying.shape[0])
    (face,), (expected,) = found.faces, upright.faces
    assert face.turn == 90 * quarters
    assert np.linalg.norm(face.vector - expected.vector) < 0.15
    # Box and landmarks are in the frame of the lying scan: turned upright, they are those of the upright one.
    points = np.array(face.landmarks) * (lying.shape[1], lying.shape[0])
    wanted = np.array(expected.landmarks) * (380, 300)
    back = points_on_scan(points, (4 - quarters) % 4, 380, 300)
    assert np.abs(back - wanted).max() < 6
    box = on_turned(pixels(face.box.model_dump(), found), quarters, found.width, found.height)
    assert overlap(box, pixels(expected.box.model_dump(), upright)) > 0.75


def pixels(box: dict[str, float], found: ScanAnalysed) -> Detection:
    sides = {"left": found.width, "right": found.width, "top": found.height, "bottom": found.height}
    left, right, top, bottom = (round(box[side] * length) for side, length in sides.items())
    return Detection(left, top, right, bottom, 1.0)


@pytest.mark.parametrize("quarters", [2, 3])
def test_other_turns_are_not_tried_where_the_setting_says_so(onnx_engine: Engine, quarters: int) -> None:
    lying = np.ascontiguousarray(np.rot90(portrait(), quarters))
    assert all(face.turn == 0 for face in analyse(with_settings(onnx_engine, turns="never"), scan(), lying).faces)


@pytest.mark.parametrize("turns", ["fallback", "always"])
def test_upright_faces_are_exactly_those_of_the_detector(onnx_engine: Engine, turns: str) -> None:
    for picture in (group_photo(), portrait(), np.asarray(portrait_of(HOPPER, 60, 2.5))):
        plain = find_faces(onnx_engine.detector, [picture], provenance(onnx_engine, turns="never"))
        assert find_faces(onnx_engine.detector, [picture], provenance(onnx_engine, turns=turns)) == plain


def provenance(engine: Engine, **settings: object) -> Provenance:
    return engine.provenance.model_copy(update=settings)


def test_with_always_a_page_of_prints_in_several_turns_has_each_in_its_own(onnx_engine: Engine) -> None:
    page = np.full((620, 780, 3), 235, dtype=np.uint8)
    piece = portrait()[40:249, 20:229]
    for quarters, (top, left) in enumerate([(20, 20), (20, 400), (320, 20), (320, 400)]):
        page[top : top + 209, left : left + 209] = np.rot90(piece, quarters)
    found = analyse(with_settings(onnx_engine, turns="always"), scan(), page).faces
    places = {(face.box.left > 0.45, face.box.top > 0.45): face.turn for face in found}
    assert places == {(False, False): 0, (True, False): 90, (False, True): 180, (True, True): 270}
    assert max(np.linalg.norm(face.vector - found[0].vector) for face in found) < 0.2


def test_a_negative_is_found_where_the_setting_says_so(onnx_engine: Engine, upright: ScanAnalysed) -> None:
    inverted = 255 - portrait()
    assert analyse(onnx_engine, scan(), inverted).faces == ()
    (face,) = analyse(with_settings(onnx_engine, negatives=True), scan(), inverted).faces
    assert face.negative
    assert np.linalg.norm(face.vector - upright.faces[0].vector) < 0.15
    (lying,) = analyse(with_settings(onnx_engine, negatives=True), scan(), np.rot90(inverted, 2).copy()).faces
    assert (lying.turn, lying.negative) == (180, True)
    assert not upright.faces[0].negative


def test_a_small_face_on_a_large_scan_is_found_when_asked_for(onnx_engine: Engine) -> None:
    generator = np.random.default_rng(5)
    coarse = generator.integers(100, 180, (30, 40, 3)).astype(np.uint8)
    page = np.array(Image.fromarray(coarse).resize((2400, 1800), Image.Resampling.BICUBIC))
    piece = np.asarray(portrait_of(HOPPER, 48, 2.2))
    page[900 : 900 + len(piece), 1500 : 1500 + len(piece)] = piece
    large = np.asarray(portrait_of(COLLINS, 500, 1.3))
    page[100 : 100 + len(large), 100 : 100 + len(large)] = large
    engine = with_settings(onnx_engine, max_size=800, turns="never")
    known = find_faces(engine.detector, [page], engine.provenance)[0]
    assert len(known) == 1
    found = find_faces(engine.detector, [page], provenance(engine, min_face_px=45))[0]
    assert found[0] == known[0]
    assert len(found) == 2
    face = found[1].detection
    assert overlap(face, Detection(1525, 925, 1580, 985, 0.0)) > 0.3
    assert face.right - face.left < 80


def test_a_wanted_size_that_the_search_finds_anyway_changes_nothing() -> None:
    calls: list[tuple[tuple[int, ...], int]] = []

    class Watched:
        batch_size = 1

        def detect(self, images: Sequence[RgbImage], upsample: int) -> list[list[Detection]]:
            calls.extend((image.shape, upsample) for image in images)
            return [[] for _ in images]

    settings = Provenance(engine="onnx", detector="", landmarks="", embedder="", upsample=1, max_size=2000)
    find_faces(Watched(), [np.zeros((500, 700, 3), np.uint8)], settings.model_copy(update={"min_face_px": 40}))
    assert calls == [((500, 700, 3), 1)]


def test_points_and_boxes_go_there_and_back() -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    for turn in range(4):
        shown = turned(image, turn)
        for y in range(shown.shape[0]):
            for x in range(shown.shape[1]):
                ((left, top),) = points_on_scan(np.array([[x, y]], dtype=float), turn, 7, 5).tolist()
                assert np.array_equal(shown[y, x], image[round(top), round(left)])
        face = Detection(1, 2, 3, 4, 0.5)
        assert on_scan(on_turned(face, turn, 7, 5), turn, 7, 5) == face


@pytest.mark.parametrize("scale", [0.9, 0.34, 0.05])
def test_a_large_image_is_scaled_as_a_small_one(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(6).integers(0, 256, (611, 907, 3), np.uint8)
    whole = scaled(image, scale)
    monkeypatch.setattr("models.scaling._LARGE", 1000)
    monkeypatch.setattr("models.pixels._BAND_PIXELS", 50_000)
    assert np.array_equal(scaled(image, scale), whole)
    assert scaled_down(image, 2000) is image

"""The ONNX engine finds what dlib finds: the same faces, boxes, scores and embeddings."""

from __future__ import annotations

from pathlib import Path

import dlib
import numpy as np
import numpy.typing as npt
import pytest
from onnxruntime import InferenceSession
from PIL import Image

from models import planes, pyramid, weights
from models.analyse import Engine
from models.dlib_engine import DlibDetector, DlibEmbedder
from models.dlib_file import read_detector, read_embedder
from models.images import RgbImage
from models.network import Convolution, FullyConnected
from models.onnx_engine import OnnxDetector, OnnxEmbedder
from models.onnx_session import Execution, run
from models.protocols import Detection
from models.weights import WeightFile


def edges(faces: list[Detection]) -> np.ndarray:
    return np.array([(face.left, face.top, face.right, face.bottom) for face in faces]).reshape(-1, 4)


@pytest.mark.parametrize(
    ("name", "upsample"), [("group", 0), ("old", 0), ("old", 1), ("portrait", 0), ("lfw", 0), ("lfw", 1), ("solvay", 1)]
)
def test_the_same_faces_at_the_same_places_with_the_same_scores(
    photographs: dict[str, RgbImage], onnx_engine: Engine, dlib_engine: Engine, name: str, upsample: int
) -> None:
    expected = dlib_engine.detector.detect([photographs[name]], upsample)[0]
    found = onnx_engine.detector.detect([photographs[name]], upsample)[0]
    assert len(found) == len(expected)
    assert len(expected) > 0 or upsample == 0
    assert np.abs(edges(found) - edges(expected)).max(initial=0) <= 1
    assert [face.score for face in found] == pytest.approx([face.score for face in expected], abs=1e-3)


def test_the_same_embeddings_in_any_batch(
    photographs: dict[str, RgbImage], onnx_engine: Engine, dlib_engine: Engine
) -> None:
    chips = [
        onnx_engine.predictor.align(photograph, face)[1]
        for photograph in photographs.values()
        for face in onnx_engine.detector.detect([photograph], 1)[0][:3]
    ]
    assert len(chips) > 6
    expected = dlib_engine.embedder.embed(chips)
    assert np.linalg.norm(onnx_engine.embedder.embed(chips) - expected, axis=1).max() < 1e-4
    one_by_one = np.concatenate([onnx_engine.embedder.embed([chip]) for chip in chips])
    assert np.linalg.norm(one_by_one - expected, axis=1).max() < 1e-4


def test_more_chips_than_a_batch_takes_and_none(onnx_engine: Engine) -> None:
    chips = list(np.random.default_rng(1).integers(0, 256, (70, 150, 150, 3), dtype=np.uint8))
    embeddings = onnx_engine.embedder.embed(chips)
    assert embeddings.shape == (70, 128)
    assert embeddings[69] == pytest.approx(onnx_engine.embedder.embed(chips[69:])[0], abs=1e-5)
    assert onnx_engine.embedder.embed([]).shape == (0, 128)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (40, 5), (33, 33), (79, 81)])
def test_pictures_too_small_for_a_face_have_none(
    onnx_engine: Engine, dlib_engine: Engine, size: tuple[int, int]
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert onnx_engine.detector.detect([picture], 0) == dlib_engine.detector.detect([picture], 0) == [[]]


def test_a_threshold_drops_what_scores_less_and_adds_what_dlib_would_not_show(
    group_photo: RgbImage, detector_weights: WeightFile, onnx_engine: Engine
) -> None:
    usual = onnx_engine.detector.detect([group_photo], 0)[0]
    middle = usual[1].score
    strict = OnnxDetector(detector_weights, middle, Execution("cpu"))
    assert strict.detect([group_photo], 0)[0] == usual[:1]
    lax = OnnxDetector(detector_weights, -1.5, Execution("cpu")).detect([group_photo], 0)[0]
    assert lax[: len(usual)] == usual
    assert len(lax) > len(usual)


def test_a_large_picture_in_strips_has_the_faces_it_has_in_one(
    group_photo: RgbImage, onnx_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = onnx_engine.detector.detect([group_photo], 1)[0]
    monkeypatch.setattr("models.onnx_engine._MOST_PIXELS", 500_000)
    in_strips = onnx_engine.detector.detect([group_photo], 1)[0]
    assert edges(in_strips).tolist() == edges(whole).tolist()
    assert [face.score for face in in_strips] == pytest.approx([face.score for face in whole], abs=1e-5)


@pytest.fixture(scope="module")
def wide_photo(group_photo: RgbImage, onnx_engine: Engine) -> RgbImage:
    """A row of the same large face, 4,000 pixels wide."""
    face = onnx_engine.detector.detect([group_photo], 0)[0][0]
    piece = group_photo[max(0, face.top - 15) : face.bottom + 15, face.left - 15 : face.right + 15]
    large = np.asarray(Image.fromarray(piece).resize((200, 200), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(np.tile(large, (1, 20, 1)))


def test_the_columns_of_a_wide_picture_lie_where_dlib_has_them(
    wide_photo: RgbImage, onnx_engine: Engine, dlib_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (expected,) = dlib_engine.detector.detect([wide_photo], 0)
    (found,) = onnx_engine.detector.detect([wide_photo], 0)
    assert len(expected) >= 15
    assert np.abs(by_place(found) - by_place(expected)).max() < 1e-4
    # The test would show it: at even steps from the first column to the last, scores are further off.
    monkeypatch.setattr(planes, "column_runs", lambda _before, after: [(after, 0.0, 1.0)])
    (evenly,) = onnx_engine.detector.detect([wide_photo], 0)
    assert np.abs(by_place(evenly) - by_place(expected)).max() > 1e-4


def by_place(faces: list[Detection]) -> np.ndarray:
    return np.array(sorted((face.left, face.score) for face in faces))


@pytest.mark.parametrize(("before", "after"), [(4002, 3335), (3335, 2779), (500, 416), (5, 4), (2, 1), (1, 1)])
def test_runs_of_columns_are_all_of_them_in_order(before: int, after: int) -> None:
    runs = planes.column_runs(before, after)
    assert sum(count for count, _, _ in runs) == after
    places = np.concatenate([np.linspace(first, last, count) for count, first, last in runs]) * (before - 1)
    assert (np.diff(places) >= 0).all()
    assert np.abs(places - np.linspace(0, before - 1 if after > 1 else 0, after)).max() < 0.05


def at_the_edges(photograph: RgbImage, face: Detection) -> list[RgbImage]:
    """Pieces with the face close to each corner, of nearly the same size."""
    pieces: list[RgbImage] = []
    for top in (face.top - 8, face.bottom + 9 - 200):
        for left in (face.left - 8, face.right + 9 - 210):
            part = photograph[max(0, top) : max(0, top) + 200 + len(pieces), max(0, left) : max(0, left) + 210]
            pieces.append(np.ascontiguousarray(part))
    return pieces


@pytest.mark.parametrize("upsample", [0, 1])
def test_pictures_of_other_sizes_in_one_batch_change_nothing(
    photographs: dict[str, RgbImage],
    onnx_engine: Engine,
    detector_weights: WeightFile,
    upsample: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    face = onnx_engine.detector.detect([photographs["group"]], 0)[0][0]
    tiny = np.zeros((5, 5, 3), dtype=np.uint8)
    pictures = [*at_the_edges(photographs["group"], face), tiny, *photographs.values()]
    batched = OnnxDetector(detector_weights, -0.5, Execution("cpu"), batched=True)
    singly = OnnxDetector(detector_weights, -0.5, Execution("cpu"))
    shapes: list[tuple[int, ...]] = []

    def watched(session: InferenceSession, fed: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        if "cells" in fed:
            shapes.append(fed["pixels"].shape)
        return run(session, fed)

    monkeypatch.setattr("models.onnx_engine.run", watched)
    together = batched.detect(pictures, upsample)
    assert max(count for count, *_ in shapes) > 1
    expected = [singly.detect([picture], upsample)[0] for picture in pictures]
    assert [edges(faces).tolist() for faces in together] == [edges(faces).tolist() for faces in expected]
    for found, alone in zip(together, expected, strict=True):
        assert [face.score for face in found] == pytest.approx([face.score for face in alone], abs=1e-5)
    assert [len(faces) > 0 for faces in expected[:5]] == [True, True, True, True, False]


def test_a_large_picture_among_small_ones_goes_in_strips(
    group_photo: RgbImage, detector_weights: WeightFile, onnx_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [group_photo, np.ascontiguousarray(group_photo[:150, :150]), group_photo[::-1].copy()]
    expected = onnx_engine.detector.detect(pictures, 1)
    monkeypatch.setattr("models.onnx_engine._MOST_PIXELS", 500_000)
    found = OnnxDetector(detector_weights, 0.0, Execution("cpu"), batched=True).detect(pictures, 1)
    assert [edges(faces).tolist() for faces in found] == [edges(faces).tolist() for faces in expected]


def test_thousands_of_sizes_fill_few_buckets_and_lose_little() -> None:
    sides = range(1, 1001)
    assert len({planes.bucket(side) for side in sides}) <= 8 * 10
    assert all(side <= planes.bucket(side) <= 1.125 * side + 1 for side in sides)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (150, 150), (2000, 300), (90, 2000), (33, 33), (1, 1)])
def test_levels_lie_inside_the_plane_and_apart(size: tuple[int, int]) -> None:
    tiled = pyramid.layout(*size, padding=10, outer_padding=11)
    assert tiled.levels
    taken = np.zeros((tiled.height, tiled.width), dtype=int)
    for level in tiled.levels:
        assert level.left >= 11
        assert level.left + level.width <= tiled.width - 11
        taken[level.top : level.top + level.height, level.left : level.left + level.width] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(level.width * level.height for level in tiled.levels)


def test_a_point_on_a_level_is_where_dlib_has_it_in_the_picture() -> None:
    tiled = pyramid.layout(500, 375, padding=10, outer_padding=11)
    down = dlib.pyramid_down(6)
    assert len(tiled.levels) >= 8
    for number, level in enumerate(tiled.levels[:8]):
        middle = (level.left + level.width // 2, level.top + level.height // 2)
        box = np.array([[middle[0] - 3.0, middle[1] - 4.0, middle[0] + 3.0, middle[1] + 4.0]])
        expected = down.rect_up(dlib.drectangle(*(box[0] - np.tile([level.left, level.top], 2))), number)
        got = pyramid.to_image(tiled, box)[0]
        assert got.tolist() == pytest.approx([expected.left(), expected.top(), expected.right(), expected.bottom()])


def test_doubling_is_dlibs() -> None:
    twice = dlib.pyramid_down(2)
    for width, height in [(500, 375), (33, 71), (4, 4)]:
        up = twice.rect_up(dlib.rectangle(0, 0, width - 1, height - 1))
        assert pyramid.upsampled_size(width, height) == (up.right() + 1, up.bottom() + 1)
    down = twice.rect_down(dlib.drectangle(10, 20, 111, 122))
    box = pyramid.before_upsampling(np.array([[10.0, 20.0, 111.0, 122.0]]))[0]
    assert box.tolist() == [down.left(), down.top(), down.right(), down.bottom()]


def test_another_detector_file_given_by_path_is_as_dlib_has_it(
    group_photo: RgbImage, detector_weights: WeightFile, tmp_path: Path
) -> None:
    last = read_detector(detector_weights.path).layers[-1]
    assert isinstance(last, Convolution)
    written = last.weights.tobytes() + last.bias.tobytes()
    other = changed(detector_weights, written, last.weights.tobytes() + (last.bias + 0.5).tobytes(), tmp_path)
    found = OnnxDetector(other, 0.0, Execution("cpu")).detect([group_photo], 0)[0]
    expected = DlibDetector(other, 0.0).detect([group_photo], 0)[0]
    published = DlibDetector(detector_weights, 0.0).detect([group_photo], 0)[0]
    assert edges(found).tolist() == edges(expected).tolist()
    assert [face.score for face in found] == pytest.approx([face.score for face in expected], abs=1e-4)
    assert found[0].score == pytest.approx(published[0].score + 0.5, abs=1e-4)


def test_another_embedder_file_given_by_path_is_as_dlib_has_it(embedder_weights: WeightFile, tmp_path: Path) -> None:
    last = read_embedder(embedder_weights.path).layers[-1]
    assert isinstance(last, FullyConnected)
    other = changed(embedder_weights, last.weights.tobytes(), np.roll(last.weights, 1, axis=1).tobytes(), tmp_path)
    chip = np.random.default_rng(3).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    expected = DlibEmbedder(other).embed([chip])[0]
    assert np.linalg.norm(OnnxEmbedder(other, Execution("cpu")).embed([chip])[0] - expected) < 1e-4
    published = OnnxEmbedder(embedder_weights, Execution("cpu")).embed([chip])[0]
    assert np.linalg.norm(np.roll(published, 1) - expected) < 1e-4


def changed(published: WeightFile, written: bytes, instead: bytes, folder: Path) -> WeightFile:
    """A weight file that differs from the published one in one sequence of bytes."""
    content = published.path.read_bytes()
    if content.count(written) != 1:
        raise ValueError("what is to be changed is not there once")
    path = folder / "other.dat"
    path.write_bytes(content.replace(written, instead))
    return weights.weight_file(published.path.name, path)

"""Weight files are read to the last byte or refused with a line that says why."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest

from models import onnx_convert, weights
from models.dlib_file import read_detector, read_embedder
from models.dlib_stream import DlibStream, Unexpected
from models.network import Convolution
from models.weights import WeightFile, WeightsError


def test_the_detector_is_what_dlib_prints_of_it(detector_weights: WeightFile) -> None:
    detector = read_detector(detector_weights.path)
    convolutions = [layer for layer in detector.layers if isinstance(layer, Convolution)]
    assert [convolution.weights.shape for convolution in convolutions] == [
        (16, 3, 5, 5),
        (32, 16, 5, 5),
        (32, 32, 5, 5),
        (45, 32, 5, 5),
        (45, 45, 5, 5),
        (45, 45, 5, 5),
        (1, 45, 9, 9),
    ]
    assert detector.window == (80, 80)
    assert detector.input.means == pytest.approx((122.782, 117.001, 104.298))
    assert detector.overlap.hull_share == pytest.approx(0.338276, abs=1e-6)


def test_the_embedder_has_29_convolutions(embedder_weights: WeightFile) -> None:
    embedder = read_embedder(embedder_weights.path)
    assert sum(isinstance(layer, Convolution) for layer in embedder.layers) == 29
    assert embedder.input.size == (150, 150)


@pytest.mark.parametrize("end", [0, 1, 2, 50, 200, 5_000, 60_000, 500_000, 729_939])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, detector_weights: WeightFile, end: int) -> None:
    path = tmp_path / "cut.dat"
    path.write_bytes(detector_weights.path.read_bytes()[:end])
    with pytest.raises(WeightsError, match=r"cut\.dat is not a face detector as dlib writes it: "):
        read_detector(path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data + b"\0", "byte|ends"),
        (lambda data: b"\x01\x01\x01\x09loss_mean" + data[14:], "an MMOD detector"),
        (lambda data: data.replace(b"bn_con2", b"bn_con3", 1), "a layer 'bn_con3', which neither"),
        (lambda data: data[:200] + b"\x7f" * 16 + data[216:], "too large together"),
        (lambda data: data.replace(b"con_4", b"relu_", 1), "expected|layer"),
        (lambda data: data[:200] + b"\xff" * 16 + data[216:], "finite weights"),
        (lambda _: b"not a network at all", "an integer|ends"),
    ],
)
def test_a_spoilt_file_is_refused(
    tmp_path: Path, detector_weights: WeightFile, spoil: Callable[[bytes], bytes], why: str
) -> None:
    path = tmp_path / "spoilt.dat"
    path.write_bytes(spoil(detector_weights.path.read_bytes()))
    with pytest.raises(WeightsError, match=why):
        read_detector(path)


def test_random_bytes_anywhere_are_read_or_refused_but_nothing_else(
    tmp_path: Path, detector_weights: WeightFile
) -> None:
    random = np.random.default_rng(5)
    whole = detector_weights.path.read_bytes()
    path = tmp_path / "random.dat"
    for _ in range(60):
        data = bytearray(whole[:6_000] + whole[715_000:])
        for position in random.integers(0, len(data), 3):
            data[position] = random.integers(0, 256)
        path.write_bytes(data)
        with pytest.raises(WeightsError):
            read_detector(path)


def test_one_network_is_not_taken_for_the_other(detector_weights: WeightFile, embedder_weights: WeightFile) -> None:
    with pytest.raises(WeightsError, match="a metric network"):
        read_embedder(detector_weights.path)
    with pytest.raises(WeightsError, match="an MMOD detector"):
        read_detector(embedder_weights.path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.dat cannot be read: No such file"):
        read_detector(tmp_path / "none.dat")
    with pytest.raises(WeightsError, match=r"none\.dat cannot be read: No such file"):
        weights.weight_file(weights.DETECTOR, tmp_path / "none.dat")


def test_a_file_given_by_path_is_known_by_its_own_checksum(tmp_path: Path, detector_weights: WeightFile) -> None:
    path = tmp_path / "mine.dat"
    path.write_bytes(detector_weights.path.read_bytes())
    assert weights.weight_file(weights.DETECTOR, path) == replace(detector_weights, path=path)
    path.write_bytes(b"other")
    assert weights.weight_file(weights.DETECTOR, path).sha256 != detector_weights.sha256


def test_a_published_file_that_was_changed_is_refused(
    tmp_path: Path, detector_weights: WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / detector_weights.path.name
    path.write_bytes(detector_weights.path.read_bytes()[:-1])
    monkeypatch.setattr(weights, "_published", lambda _: path)
    with pytest.raises(WeightsError, match="is not the published"):
        weights.weight_file(weights.DETECTOR)


def test_numbers_are_written_as_dlib_writes_them() -> None:
    stream = DlibStream(b"\x01\x50\x82\x00\x01" + b"\x01\x03\x81\x01" + b"\x00\x02\x00\x7d" + b"1")
    assert stream.integer() == 80
    assert stream.integer() == -256
    assert stream.real() == 1.5
    assert stream.real() == float("inf")
    assert stream.boolean() is True
    assert stream.at_end()
    with pytest.raises(Unexpected, match="ends at byte"):
        stream.integer()


def test_a_model_is_made_once_and_kept_whole(
    tmp_path: Path, detector_weights: WeightFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = onnx_convert.detector_model(detector_weights, tmp_path)
    onnx.checker.check_model(onnx.load_from_string(made))
    assert [detector_weights.sha256 in path.name for path in tmp_path.iterdir()] == [True]
    monkeypatch.setattr(onnx_convert, "read_detector", pytest.fail)
    assert onnx_convert.detector_model(detector_weights, tmp_path) == made


def test_processes_that_make_a_model_at_the_same_time_leave_one_that_is_whole(
    tmp_path: Path, detector_weights: WeightFile
) -> None:
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        made = list(pool.map(onnx_convert.detector_model, [detector_weights] * 8, [tmp_path] * 8))
    assert len(set(made)) == 1
    assert len(list(tmp_path.iterdir())) == 1
    assert onnx_convert.detector_model(detector_weights, tmp_path) == made[0]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, detector_weights: WeightFile) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    assert onnx_convert.detector_model(detector_weights, tmp_path / "file" / "onnx")


def test_a_spoilt_model_in_the_cache_is_replaced(tmp_path: Path, detector_weights: WeightFile) -> None:
    made = onnx_convert.detector_model(detector_weights, tmp_path)
    next(tmp_path.iterdir()).write_bytes(made[:1000])
    assert onnx_convert.detector_model(detector_weights, tmp_path) == made

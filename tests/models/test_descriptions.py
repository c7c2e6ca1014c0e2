"""Networks that a file describes: what is read, what is refused and with which line, and what makes two of them one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.descriptions import (
    DLIB_SPACE,
    DetectorDescription,
    EmbedderDescription,
    detector_description,
    embedder_description,
    presets,
    space_of,
)
from models.weights import WeightsError
from tests.builders import networks

MINIMAL = 'name = "net"\ndimension = 16\nsize = [112, 112]\neps = 1.0\neps_max = 1.2\n'


def described(folder: Path, text: str) -> EmbedderDescription:
    file = folder / "net.toml"
    file.write_text(text, encoding="utf-8")
    found = embedder_description(str(file))
    assert found is not None
    return found


def test_dlib_needs_no_file() -> None:
    assert embedder_description("dlib") is None
    assert detector_description("dlib") is None
    assert space_of("dlib") == DLIB_SPACE
    assert DLIB_SPACE.published is None
    assert DLIB_SPACE.unit == 1.0


def test_a_file_begins_from_a_preset_and_names_what_differs(tmp_path: Path) -> None:
    network = networks.embedder(tmp_path / "net.onnx")
    found = described(tmp_path, 'preset = "arcface"\npath = "net.onnx"\ndimension = 16\nflip = false\n')
    # Beside the file, wherever that is.
    assert found.path == network
    assert (found.dimension, found.size, found.flip, found.mean) == (16, (112, 112), False, (127.5, 127.5, 127.5))
    assert found.targets is not None
    assert found.targets.nose == (56.0252, 71.7366)


def test_the_preset_of_the_second_embedder_knows_its_file_and_takes_no_other(tmp_path: Path) -> None:
    other = networks.embedder(tmp_path / "mobilefacenet.onnx")
    found = embedder_description("mobilefacenet", other)
    assert found is not None
    with pytest.raises(WeightsError, match=r"mobilefacenet\.onnx is not the network that mobilefacenet describes: its"):
        found.weights()


def test_every_preset_can_be_read() -> None:
    assert presets() == ["arcface", "mobilefacenet"]
    for preset in presets():
        assert embedder_description(preset, Path("net.onnx")) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = ", "is not TOML"),
        ('name = "net"', "dimension: is missing"),
        (MINIMAL + "sise = 3", "sise: there is no such key"),
        (MINIMAL.replace("[112, 112]", "112"), "size: should be a list of numbers"),
        (MINIMAL.replace("[112, 112]", "[112, 112, 3]"), "size: should have 2 numbers, not 3"),
        (MINIMAL + "path = 3", "path: should be the name of a file"),
        (MINIMAL + "targets = [[1, 1], [2, 2]]", "targets: should be a table of points"),
        (MINIMAL + "scale = [1, 0, 1]", "scale has a 0"),
        (MINIMAL + 'sha256 = "ab"', "sha256: string should match pattern"),
        (MINIMAL.replace("1.2", "0.9"), "eps 1.0 is larger than eps_max 0.9"),
        (MINIMAL.replace("= 16", "= 2001"), "dimension: input should be less than or equal to 2000"),
        (MINIMAL + "[targets]\nleft_eye = [1, 1]", "targets.right_eye: is missing"),
        (MINIMAL + "[targets]\nleft_eye = [9, 1]\nright_eye = [1, 1]", "left_eye is not left of right_eye"),
        ('preset = "arcfase"', "there is no preset 'arcfase'; there are: arcface, mobilefacenet"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(reason)) as raised:
        described(tmp_path, text)
    assert "net.toml" in str(raised.value)
    assert "\n" not in str(raised.value).strip()


def test_what_is_no_file_and_no_preset_names_the_presets() -> None:
    with pytest.raises(WeightsError, match=r"arcfase cannot be read .* one of: dlib, arcface, mobilefacenet"):
        embedder_description("arcfase")


def test_the_network_itself_is_no_description(tmp_path: Path) -> None:
    network = networks.embedder(tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match=r"net\.onnx is not TOML: a network is described by a TOML file"):
        embedder_description(str(network))


def test_a_detectors_size_is_of_whole_cells(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(networks.DETECTOR.format(outputs="yunet") + "size = [320, 100]")
    with pytest.raises(WeightsError, match="size has a side that is no multiple of 32"):
        detector_description(str(tmp_path / "net.toml"))


def test_a_network_without_its_file_or_path_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the network net has no file"):
        described(tmp_path, MINIMAL).weights()
    with pytest.raises(WeightsError, match=r"the weights .*lost\.onnx cannot be read: No such file"):
        described(tmp_path, MINIMAL + 'path = "lost.onnx"').weights()


def test_two_embedders_are_one_where_all_that_an_embedding_depends_on_is_equal(tmp_path: Path) -> None:
    base = described(tmp_path, MINIMAL + f'sha256 = "{"a" * 64}"')
    assert re.fullmatch(r"net-[0-9a-f]{16}", base.identity)
    same = {"eps": 0.9, "eps_max": 1.1, "path": Path("elsewhere.onnx")}
    other = {"flip": True, "sha256": "b" * 64, "mean": (1.0, 0.0, 0.0), "colour": "bgr", "dimension": 17}
    for name, value in same.items():
        assert EmbedderDescription(**base.model_dump() | {name: value}).identity == base.identity
    for name, value in other.items():
        assert EmbedderDescription(**base.model_dump() | {name: value}).identity != base.identity


def test_without_a_sha256_the_file_is_read_for_it(tmp_path: Path) -> None:
    networks.embedder(tmp_path / "net.onnx")
    text = MINIMAL + 'path = "net.onnx"'
    before = described(tmp_path, text).identity
    networks.embedder(tmp_path / "net.onnx", 17)
    assert described(tmp_path, text).identity != before


def test_the_space_has_the_thresholds_of_the_file(tmp_path: Path) -> None:
    networks.embedder(tmp_path / "net.onnx")
    found = described(tmp_path, MINIMAL + 'path = "net.onnx"')
    space = space_of(str(tmp_path / "net.toml"))
    assert (space.embedder, space.dimension, space.eps, space.eps_max) == (found.identity, 16, 1.0, 1.2)
    assert space.published == found.identity
    assert space.unit == pytest.approx(1.0 / 0.37)


def test_a_detector_is_described_alike(tmp_path: Path) -> None:
    network = networks.yunet(tmp_path / "net.onnx")
    found = detector_description(str(networks.described(tmp_path, network, networks.DETECTOR.format(outputs="yunet"))))
    assert isinstance(found, DetectorDescription)
    assert (found.outputs, found.size, found.threshold) == ("yunet", None, 0.5)

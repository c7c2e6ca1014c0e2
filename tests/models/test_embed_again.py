"""Known faces embedded by another network: as an analysis with that network from the beginning has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.analyse import Engine, EngineParameters, load_engine
from models.embed_again import ScanWithFaces, embed_again, misfit
from models.images import RgbImage
from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace
from tests.builders import networks
from tests.builders.scans import analyse, scan


@pytest.fixture
def small(tmp_path: Path) -> Engine:
    file = networks.described(tmp_path, networks.embedder(tmp_path / "embedder.onnx"), networks.EMBEDDER)
    return load_engine(EngineParameters(provider="cpu", embedder=str(file)))


def near(one: ScanAnalysed, other: ScanAnalysed) -> bool:
    """Whether two analyses are the same, but for the last digits of embeddings."""
    vectors = [np.array([face.vector for face in it.faces]) for it in (one, other)]
    without = [
        it.model_copy(update={"faces": tuple(face.model_copy(update={"embedding": b""}) for face in it.faces)})
        for it in (one, other)
    ]
    return without[0] == without[1] and bool(np.abs(vectors[0] - vectors[1]).max() < 1e-5)


@pytest.mark.parametrize("lying", [False, True])
def test_faces_are_those_of_an_analysis_from_the_beginning_by_that_network(
    onnx_engine: Engine, small: Engine, group_photo: RgbImage, lying: bool
) -> None:
    picture = np.ascontiguousarray(np.rot90(group_photo)) if lying else group_photo
    named = scan()
    before = analyse(onnx_engine, named, picture)
    assert {face.turn for face in before.faces} == ({90} if lying else {0})
    (again,) = embed_again(small, [(ScanWithFaces.of(named, before), picture)])
    from_the_beginning = analyse(replace(small, detector=onnx_engine.detector), named, picture)
    assert near(again, from_the_beginning)
    assert [face.face_id for face in again.faces] == [face.face_id for face in before.faces]
    assert again.provenance.embedder == small.space.embedder
    assert again.faces[0].vector.shape == (16,)


def test_an_id_that_was_kept_from_an_earlier_analysis_stays(
    onnx_engine: Engine, small: Engine, group_photo: RgbImage
) -> None:
    former = analyse(onnx_engine, scan(), group_photo).faces[0]
    kept = scan(KeptFace(face_id="as-it-was-called", box=former.box))
    before = analyse(onnx_engine, kept, group_photo)
    (again,) = embed_again(small, [(ScanWithFaces.of(scan(), before), group_photo)])
    assert "as-it-was-called" in {face.face_id for face in again.faces}
    assert [face.box for face in again.faces] == [face.box for face in before.faces]


def test_landmarks_of_another_detector_are_not_taken_for_this_one_s(
    onnx_engine: Engine, tmp_path: Path, group_photo: RgbImage
) -> None:
    embedder = networks.described(tmp_path, networks.embedder(tmp_path / "embedder.onnx"), networks.EMBEDDER)
    network = networks.yunet(tmp_path / "yunet.onnx")
    detector = networks.described(tmp_path, network, networks.DETECTOR.format(outputs="yunet"))
    engine = load_engine(EngineParameters(provider="cpu", detector=str(detector), embedder=str(embedder)))
    by_dlib = ScanWithFaces.of(scan(), analyse(onnx_engine, scan(), group_photo))
    assert "another detector" in str(misfit(engine, by_dlib))
    assert misfit(onnx_engine, by_dlib) is None

"""From an image to its faces, in the scan's own coordinates; test_face_ids.py has more on their ids."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from models.analyse import Engine, EngineParameters, analyse_scans, load_engine
from models.images import RgbImage
from models.jitter import jittered
from models.onnx_session import EngineError
from models.protocols import Chip
from schemas.faces import ScanAnalysed
from schemas.scans import Box, KeptFace, ScanPublished
from tests.builders.scans import analyse, scan


@pytest.fixture(scope="module")
def engine(onnx_engine: Engine) -> Engine:
    return replace(onnx_engine, provenance=onnx_engine.provenance.model_copy(update={"upsample": 0}))


@pytest.fixture(scope="module")
def analysed(engine: Engine, group_photo: RgbImage) -> ScanAnalysed:
    return analyse(engine, scan(), group_photo)


def test_a_scan_has_its_faces_with_all_that_is_known_of_them(analysed: ScanAnalysed) -> None:
    assert (analysed.width, analysed.height) == (500, 375)
    assert len(analysed.faces) == 3
    assert analysed.provenance.engine == "onnx"
    for face in analysed.faces:
        assert face.score > 1
        assert len(face.embedding) == 128 * 4
        assert 1.2 < np.linalg.norm(np.frombuffer(face.embedding, "<f4")) < 1.6
        assert 70 < face.quality.size_px < 130
        points = np.array(face.landmarks)
        assert points.shape == (5, 2)
        assert (points > [face.box.left, face.box.top]).all()
        assert (points < [face.box.right, face.box.bottom]).all()


def test_the_same_scan_gives_the_same_analysis(engine: Engine, group_photo: RgbImage, analysed: ScanAnalysed) -> None:
    assert analyse(engine, scan(), group_photo) == analysed


def test_a_face_that_was_there_keeps_its_id(engine: Engine, group_photo: RgbImage, analysed: ScanAnalysed) -> None:
    box = analysed.faces[1].box
    moved = Box(left=box.left + 0.01, top=box.top - 0.01, right=box.right + 0.01, bottom=box.bottom)
    again = analyse(engine, scan(KeptFace(face_id="named", box=moved)), group_photo)
    assert [face.face_id for face in again.faces] == [analysed.faces[0].face_id, "named", analysed.faces[2].face_id]


def test_a_large_scan_is_searched_smaller_and_its_boxes_are_in_its_own_pixels(
    engine: Engine, group_photo: RgbImage, analysed: ScanAnalysed
) -> None:
    large = np.asarray(Image.fromarray(group_photo).resize((1500, 1125), Image.Resampling.BICUBIC))
    bounded = replace(engine, provenance=engine.provenance.model_copy(update={"max_size": 500}))
    found = analyse(bounded, scan(), large)
    assert len(found.faces) == 3
    for face, small in zip(found.faces, analysed.faces, strict=True):
        assert face.box.overlap(small.box) > 0.8
        assert face.quality.size_px > 2 * small.quality.size_px


def test_a_scan_without_faces_has_none(engine: Engine) -> None:
    assert analyse(engine, scan(), np.full((200, 300, 3), 128, dtype=np.uint8)).faces == ()


def test_scans_analysed_together_have_what_each_has_alone_and_their_faces_are_embedded_together(
    engine: Engine, photographs: dict[str, RgbImage]
) -> None:
    batches: list[int] = []

    class Watched:
        def embed(self, chips: Sequence[Chip]) -> npt.NDArray[np.float32]:
            batches.append(len(chips))
            return engine.embedder.embed(chips)

    blank = np.full((200, 300, 3), 128, dtype=np.uint8)
    pictures = [photographs["close"], blank, photographs["group"], photographs["scratched"]]
    together = analyse_scans(replace(engine, embedder=Watched()), [(scan(), picture) for picture in pictures])
    assert batches == [sum(len(analysed.faces) for analysed in together)]
    assert [len(analysed.faces) > 0 for analysed in together] == [True, False, True, True]
    for analysed, picture in zip(together, pictures, strict=True):
        alone = analyse(engine, scan(), picture)
        assert [face.model_copy(update={"embedding": b""}) for face in analysed.faces] == [
            face.model_copy(update={"embedding": b""}) for face in alone.faces
        ]
        for face, same in zip(analysed.faces, alone.faces, strict=True):
            assert np.abs(np.frombuffer(face.embedding, "<f4") - np.frombuffer(same.embedding, "<f4")).max() < 1e-5


def test_a_picture_is_taken_only_when_the_one_before_is_done(engine: Engine, group_photo: RgbImage) -> None:
    held: list[weakref.ref[RgbImage]] = []
    still_held: list[weakref.ref[RgbImage]] = []

    def pictures() -> Iterator[tuple[ScanPublished, RgbImage]]:
        for _ in range(3):
            still_held.extend(reference for reference in held if reference() is not None)
            copy = group_photo[:200, :200].copy()
            held.append(weakref.ref(copy))
            handed_over = [copy]
            del copy
            yield scan(), handed_over.pop()

    assert len(analyse_scans(engine, pictures())) == 3
    assert still_held == []


def test_jittered_embeddings_are_near_the_plain_ones_and_the_same_every_time(
    engine: Engine, group_photo: RgbImage, analysed: ScanAnalysed
) -> None:
    jittering = replace(engine, provenance=engine.provenance.model_copy(update={"jitter": 8}))
    first, second = (analyse(jittering, scan(), group_photo) for _ in range(2))
    assert first == second
    assert len(first.faces) == 3
    for face, plain in zip(first.faces, analysed.faces, strict=True):
        distance = np.linalg.norm(np.frombuffer(face.embedding, "<f4") - np.frombuffer(plain.embedding, "<f4"))
        assert 0.01 < distance < 0.3


def test_jittered_chips_are_about_the_same_picture_mirrored_or_not(engine: Engine, group_photo: RgbImage) -> None:
    _, chip = engine.predictor.align(group_photo, engine.detector.detect([group_photo], 0)[0][0])
    versions = jittered(chip, 12)
    assert {version.shape for version in versions} == {(150, 150, 3)}
    inner = np.s_[20:130, 20:130]
    either = [(chip[inner], False), (chip[:, ::-1][inner], True)]
    nearest = [
        min((float(np.abs(version[inner].astype(int) - other).mean()), turned) for other, turned in either)
        for version in versions
    ]
    assert max(difference for difference, _ in nearest) < 25
    assert {turned for _, turned in nearest} == {False, True}


def test_an_engine_on_a_provider_that_is_absent_is_refused() -> None:
    with pytest.raises(EngineError, match="the provider tensorrt is not"):
        load_engine(EngineParameters(provider="tensorrt"))

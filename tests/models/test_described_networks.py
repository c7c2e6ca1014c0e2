"""Embedders and detectors of any kind, as ONNX files with a description: made here, small, and tried end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from models.analyse import Engine, EngineParameters, load_engine
from models.described_embedder import DescribedEmbedder, WrongEmbedding
from models.descriptions import detector_description, embedder_description
from models.images import RgbImage
from models.network_input import network_input
from models.onnx_session import Execution
from models.point_alignment import cut_out, similarity
from models.point_detector import PointDetector
from models.turns import align_turned, on_scan, turned
from models.weights import WeightsError
from tests.builders import networks
from tests.builders.scans import analyse, scan

CPU = Execution("cpu", 1)


@pytest.fixture
def embedder_file(tmp_path: Path) -> Path:
    return networks.described(tmp_path, networks.embedder(tmp_path / "embedder.onnx"), networks.EMBEDDER)


def embedder(file: Path, **changed: object) -> DescribedEmbedder:
    found = embedder_description(str(file))
    assert found is not None
    return DescribedEmbedder(found.model_copy(update=changed), CPU)


def detector(folder: Path, outputs: str, side: int | None = None, **changed: object) -> PointDetector:
    network = getattr(networks, outputs)(folder / f"{outputs}.onnx", side)
    file = networks.described(folder, network, networks.DETECTOR.format(outputs=outputs))
    found = detector_description(str(file))
    assert found is not None
    return PointDetector(found.model_copy(update=changed), 0.0, CPU)


def noise(height: int = 112, width: int = 112, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def faces_at(height: int, width: int, *cells: tuple[int, int]) -> RgbImage:
    """A black picture with a bright cell of 32 pixels at each of these rows and columns of cells."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for row, column in cells:
        picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 250
    return picture


def test_a_picture_becomes_what_the_network_takes(embedder_file: Path) -> None:
    base = embedder_description(str(embedder_file))
    assert base is not None
    pixels = np.array([[[255, 0, 51]]], dtype=np.uint8)
    takes = base.model_copy(update={"mean": (5.0, 0.0, 1.0), "scale": (10.0, 1.0, 5.0)})
    assert network_input([pixels], takes).reshape(-1).tolist() == [25.0, 0.0, 10.0]
    assert network_input([pixels], takes.model_copy(update={"colour": "bgr"})).reshape(-1).tolist() == [10.0, 0.0, 25.0]
    assert network_input([noise()], takes).shape == (1, 3, 112, 112)
    assert network_input([noise()], takes.model_copy(update={"layout": "nhwc"})).shape == (1, 112, 112, 3)


def test_embeddings_have_length_1_and_do_not_depend_on_what_is_embedded_together(embedder_file: Path) -> None:
    network = embedder(embedder_file)
    chips = [noise(seed=seed) for seed in range(40)]
    embeddings = network.embed(chips)
    assert embeddings.shape == (40, 16)
    assert embeddings.dtype == np.float32
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(np.ones(40))
    assert network.embed(chips[7:8])[0] == pytest.approx(embeddings[7], abs=1e-6)
    assert network.embed([]).shape == (0, 16)


def test_a_network_of_a_fixed_batch_gives_the_same(embedder_file: Path, tmp_path: Path) -> None:
    chips = [noise(seed=seed) for seed in range(5)]
    expected = embedder(embedder_file).embed(chips)
    for batch in (1, 4):
        fixed = networks.embedder(tmp_path / f"{batch}.onnx", batch=batch)
        file = networks.described(tmp_path, fixed, networks.EMBEDDER)
        assert embedder(file).embed(chips) == pytest.approx(expected, abs=1e-6)


def test_the_layout_with_channels_last_gives_the_same(embedder_file: Path, tmp_path: Path) -> None:
    last = networks.embedder(tmp_path / "last.onnx", layout="nhwc")
    file = networks.described(tmp_path, last, 'layout = "nhwc"\n' + networks.EMBEDDER)
    chips = [noise(seed=seed) for seed in range(3)]
    assert embedder(file).embed(chips) == pytest.approx(embedder(embedder_file).embed(chips), abs=1e-6)


def test_a_face_and_its_mirror_image_have_one_embedding_with_flip(embedder_file: Path) -> None:
    chip = noise()
    both = embedder(embedder_file).embed([chip, chip[:, ::-1]])
    assert both[0] == pytest.approx(both[1], abs=1e-6)
    both = embedder(embedder_file, flip=False).embed([chip, chip[:, ::-1]])
    assert np.linalg.norm(both[0] - both[1]) > 0.1


def test_chips_of_dlib_are_scaled_for_a_network_without_targets(embedder_file: Path) -> None:
    assert embedder(embedder_file, targets=None).embed([noise(150, 150)]).shape == (1, 16)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dimension": 17}, "its output embedding is 1 x 16, not 1 x 17 as dimension says"),
        ({"size": (96, 112)}, "its input is batch x 3 x 112 x 112, which does not fit size 96 x 112"),
        ({"layout": "nhwc"}, "layout nhwc: batch x 112 x 112 x 3"),
    ],
)
def test_a_network_that_is_not_as_described_is_one_line(
    embedder_file: Path, changed: dict[str, object], reason: str
) -> None:
    with pytest.raises(WeightsError, match=reason) as raised:
        embedder(embedder_file, **changed)
    assert "\n" not in str(raised.value)


def test_what_is_no_network_is_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not ONNX")
    with pytest.raises(WeightsError, match=r"wrong\.onnx is no ONNX network that can be loaded: ") as raised:
        embedder(networks.described(tmp_path, wrong, networks.EMBEDDER))
    assert "\n" not in str(raised.value)


def test_a_detector_is_refused_as_an_embedder(tmp_path: Path) -> None:
    detector_network = networks.yunet(tmp_path / "yunet.onnx")
    with pytest.raises(WeightsError, match="a gray picture fails"):
        embedder(networks.described(tmp_path, detector_network, networks.EMBEDDER))


def test_numbers_that_are_none_are_no_embedding(tmp_path: Path, embedder_file: Path) -> None:
    broken = networks.embedder(tmp_path / "nan.onnx", -16)
    with pytest.raises(WeightsError, match=r"nan\.onnx \(small\): a gray picture fails: .* numbers that are none"):
        embedder(networks.described(tmp_path, broken, networks.EMBEDDER))
    # Of a picture that the means make zero, the embedding has no length.
    with pytest.raises(WrongEmbedding, match="all zeros"):
        embedder(embedder_file, mean=(9.0, 9.0, 9.0)).embed([np.full((112, 112, 3), 9, dtype=np.uint8)])


def test_a_similarity_is_the_one_that_takes_points_nearest_to_others() -> None:
    generator = np.random.default_rng(3)
    points = generator.normal(size=(5, 2))
    angle, scale, moved = 0.4, 2.5, np.array([7.0, -3.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert similarity(points, points @ turn.T + moved) == pytest.approx(np.column_stack([turn, moved]))
    # With points that do not fit, no other similarity is nearer.
    others = points @ turn.T + moved + generator.normal(scale=0.1, size=(5, 2))
    best = similarity(points, others)

    def distance(transform: np.ndarray) -> float:
        return float(((points @ transform[:, :2].T + transform[:, 2] - others) ** 2).sum())

    for step in ([[0.01, 0, 0], [0, 0.01, 0]], [[0, -0.01, 0], [0.01, 0, 0]], [[0, 0, 0.01], [0, 0, 0]]):
        assert distance(best + np.array(step)) > distance(best) < distance(best - np.array(step))


def test_a_chip_shows_what_is_around_the_points() -> None:
    ramp = np.zeros((200, 300, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(200)[:, None]
    ramp[..., 1] = np.arange(300)[None] // 2
    # A section without turning or scaling is the pixels themselves.
    as_it_is = np.array([[1.0, 0.0, 40.0], [0.0, 1.0, 30.0]])
    assert (cut_out(ramp, as_it_is, (50, 60)) == ramp[30:90, 40:90]).all()
    # Three times smaller: the pixel in the middle of nine.
    smaller = cut_out(ramp, np.array([[3.0, 0.0, 41.0], [0.0, 3.0, 31.0]]), (20, 20))
    assert np.abs(smaller[..., 0].astype(int) - (31 + 3 * np.arange(20))[:, None]).max() <= 1
    # Beyond the image it is black.
    beyond = cut_out(ramp, np.array([[1.0, 0.0, 290.0], [0.0, 1.0, 190.0]]), (50, 60))
    assert (beyond[:10, :10] == ramp[190:, 290:]).all()
    assert not beyond[11:].any()
    assert not cut_out(ramp, np.array([[1.0, 0.0, 900.0], [0.0, 1.0, 900.0]]), (9, 9)).any()


@pytest.mark.parametrize("outputs", ["yunet", "scrfd"])
def test_faces_are_where_the_network_sees_them_with_their_landmarks(tmp_path: Path, outputs: str) -> None:
    (faces,) = detector(tmp_path, outputs).detect([faces_at(170, 330, (1, 2), (3, 8))], 0)
    assert [(face.left, face.top, face.right, face.bottom) for face in faces] == [
        (48, 16, 111, 79),
        (240, 80, 303, 143),
    ]
    points = np.array(networks.LANDMARKS).reshape(5, 2) * 32 + (64, 32) - 0.5
    assert np.array(faces[0].landmarks) == pytest.approx(points, abs=1e-3)
    assert faces[0].score == pytest.approx(250 / 255, abs=0.02)


@pytest.mark.parametrize("outputs", ["yunet", "scrfd"])
def test_a_network_of_one_size_sees_every_picture_in_that_size(tmp_path: Path, outputs: str) -> None:
    (faces,) = detector(tmp_path, outputs, side=160).detect([faces_at(320, 640, (2, 4))], 0)
    # In the network's pixels a quarter as large; its cell of 32 is then four times as large on the picture.
    assert faces == []
    picture = np.zeros((320, 640, 3), dtype=np.uint8)
    picture[128:256, 256:384] = 250
    ((face,),) = detector(tmp_path, outputs, side=160).detect([picture], 0)
    assert (face.left, face.top, face.right, face.bottom) == (192, 64, 447, 319)
    assert face.landmarks[0] == pytest.approx((256 + 0.2 * 128 - 0.5, 128 + 0.3 * 128 - 0.5), abs=1e-3)


def test_of_detections_that_overlap_the_best_is_kept(tmp_path: Path) -> None:
    picture = faces_at(128, 128, (1, 1))
    picture[32:64, 64:96] = 200
    assert len(detector(tmp_path, "yunet", overlap=0.3).detect([picture], 0)[0]) == 1
    (faces,) = detector(tmp_path, "yunet", overlap=0.4).detect([picture], 0)
    assert [face.left for face in faces] == [16, 48]


def test_a_network_of_the_other_outputs_is_one_line(tmp_path: Path) -> None:
    for network, outputs in ((networks.scrfd, "yunet"), (networks.yunet, "scrfd"), (networks.embedder, "scrfd")):
        path = network(tmp_path / "net.onnx")
        found = detector_description(str(networks.described(tmp_path, path, networks.DETECTOR.format(outputs=outputs))))
        assert found is not None
        with pytest.raises(WeightsError, match=r"net\.onnx \(small\): its outputs are not those of") as raised:
            PointDetector(found, 0.0, CPU)
        assert "\n" not in str(raised.value)


def test_dlibs_embedder_needs_dlibs_landmarks_and_says_so(tmp_path: Path, embedder_file: Path) -> None:
    file = networks.described(
        tmp_path, networks.yunet(tmp_path / "yunet.onnx"), networks.DETECTOR.format(outputs="yunet")
    )
    with pytest.raises(WeightsError, match="the embedder dlib needs chips cut out by dlib's landmarks"):
        load_engine(EngineParameters(provider="cpu", detector=str(file)))
    text = embedder_file.read_text(encoding="utf-8").partition("[targets]")[0]
    embedder_file.write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match="the embedder small needs chips cut out by dlib's landmarks"):
        load_engine(EngineParameters(provider="cpu", detector=str(file), embedder=str(embedder_file)))


def test_detector_and_embedder_of_one_s_own_analyse_a_scan(tmp_path: Path, embedder_file: Path) -> None:
    file = networks.described(
        tmp_path, networks.yunet(tmp_path / "yunet.onnx"), networks.DETECTOR.format(outputs="yunet")
    )
    engine = load_engine(
        EngineParameters(provider="cpu", detector=str(file), embedder=str(embedder_file), upsample=0, turns="never")
    )
    analysed = analyse(engine, scan(), faces_at(320, 480, (1, 2), (5, 9)))
    assert len(analysed.faces) == 2
    face = analysed.faces[0]
    assert face.vector.shape == (16,)
    assert face.landmarks[0][0] * 480 == pytest.approx(64 + 0.2 * 32 - 0.5, abs=0.01)
    assert analysed.provenance.embedder == engine.space.embedder
    assert analysed.provenance.detector == analysed.provenance.landmarks
    assert analyse(engine, scan(), faces_at(320, 480, (1, 2), (5, 9))) == analysed


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_the_landmarks_of_a_detector_turn_with_the_scan(tmp_path: Path, embedder_file: Path, quarters: int) -> None:
    file = networks.described(
        tmp_path, networks.yunet(tmp_path / "yunet.onnx"), networks.DETECTOR.format(outputs="yunet")
    )
    engine = load_engine(EngineParameters(provider="cpu", detector=str(file), embedder=str(embedder_file)))
    picture = faces_at(320, 320, (3, 4))
    picture[100:110, 130:150] = (90, 160, 30)
    (face,) = engine.detector.detect([picture], 0)[0]
    expected, chip = engine.predictor.align(picture, face)
    # The same face where the scan lies: found upright, in the pixels of the scan.
    lying = turned(picture, 4 - quarters)
    on_lying = on_scan(face, quarters, 320, 320)
    points, turned_chip = align_turned(engine.predictor, lying, on_lying, quarters, negative=False)
    assert np.abs(turned_chip.astype(int) - chip.astype(int)).max() <= 2
    assert points.shape == expected.shape


def test_the_second_embedder_tells_people_apart(shared_data: Path, onnx_engine: Engine) -> None:
    network = shared_data / "models" / "mobilefacenet.onnx"
    engine = load_engine(EngineParameters(provider="cpu", embedder="mobilefacenet", embedder_path=network))
    engine = replace(engine, detector=onnx_engine.detector)
    vectors, people = [], []
    johns = shared_data / "dlib_examples" / "johns"
    for person in sorted(path for path in johns.iterdir() if path.is_dir())[:3]:
        for photo in sorted(person.glob("*.jpg"))[:4]:
            with Image.open(photo) as opened:
                analysed = analyse(engine, scan(), np.asarray(opened.convert("RGB")))
            vectors.append(analysed.faces[0].vector)
            people.append(person.name)
    distances = np.linalg.norm(np.array(vectors)[:, None] - np.array(vectors)[None], axis=2)
    same = np.array(people)[:, None] == np.array(people)[None]
    assert distances[same].max() < engine.space.eps < distances[~same].min()


@pytest.mark.parametrize(
    ("made", "text", "reason"),
    [
        ({"side": 160, "batch": 4}, "", "its input is 4 x 3 x 160 x 160, .* batch has to be 1"),
        ({"rows": 640}, "", "its input is 1 x 3 x 640 x columns, .* one side is open, so name its size"),
        ({"rows": 640}, "size = [320, 320]", "its input is 1 x 3 x 640 x columns, .* size says otherwise"),
        ({"side": 160}, "size = [320, 320]", "its input is 1 x 3 x 160 x 160, .* size says otherwise"),
    ],
)
def test_a_detector_whose_input_is_not_as_described_is_one_line(
    tmp_path: Path, made: dict[str, int], text: str, reason: str
) -> None:
    network = networks.yunet(tmp_path / "net.onnx", **made)
    file = networks.described(tmp_path, network, networks.DETECTOR.format(outputs="yunet") + text)
    with pytest.raises(WeightsError, match=rf"net\.onnx \(small\): {reason}") as raised:
        load_engine(EngineParameters(provider="cpu", detector=str(file), embedder="mobilefacenet"))
    assert "\n" not in str(raised.value)


def test_a_network_of_one_open_side_takes_the_size_of_its_description(tmp_path: Path) -> None:
    network = networks.yunet(tmp_path / "net.onnx", rows=320)
    file = networks.described(tmp_path, network, networks.DETECTOR.format(outputs="yunet") + "size = [480, 320]")
    found = detector_description(str(file))
    assert found is not None
    # It is 479 x 320 pixels then: scaled by 1.5016 across and 1.5023 down.
    picture = np.zeros((213, 319, 3), dtype=np.uint8)
    picture[:, 300:] = 255
    faces = PointDetector(found, 0.0, CPU).detect([picture], 0)[0]
    assert {round((face.landmarks[0][0] + 0.5) / 319 * 479 - 0.2 * 32, 2) for face in faces} == {448.0}


def test_a_face_narrower_than_a_pixel_is_one_pixel_wide_and_can_be_published(
    tmp_path: Path, embedder_file: Path
) -> None:
    network = networks.yunet(tmp_path / "net.onnx", width=0.001)
    file = networks.described(tmp_path, network, networks.DETECTOR.format(outputs="yunet"))
    engine = load_engine(EngineParameters(provider="cpu", detector=str(file), embedder=str(embedder_file), upsample=0))
    (face,) = engine.detector.detect([faces_at(96, 96, (1, 1))], 0)[0]
    assert face.left == face.right
    assert len(analyse(engine, scan(), faces_at(96, 96, (1, 1))).faces) == 1


def test_an_output_that_is_no_floating_point_is_one_line(tmp_path: Path) -> None:
    network = networks.embedder(tmp_path / "net.onnx")
    graph = onnx.load(network)
    graph.graph.node[-1].output[0] = "numbers"
    graph.graph.node.append(onnx.helper.make_node("Cast", ["numbers"], ["embedding"], to=onnx.TensorProto.STRING))
    graph.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    onnx.save(graph, network)
    with pytest.raises(WeightsError, match=r"its output embedding is tensor\(string\), not floating point"):
        embedder(networks.described(tmp_path, network, networks.EMBEDDER))


def test_a_network_in_two_files_is_refused_as_its_checksum_says_nothing_about_the_second(tmp_path: Path) -> None:
    network = networks.embedder(tmp_path / "net.onnx")
    onnx.save(onnx.load(network), network, save_as_external_data=True, location="net.data", size_threshold=0)
    with pytest.raises(WeightsError, match="has its weights in another file: save the network as one file"):
        embedder(networks.described(tmp_path, network, networks.EMBEDDER))


def test_a_file_that_dlib_cannot_read_is_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dat"
    wrong.write_bytes(b"no weights")
    for parameters, kind in (
        (EngineParameters(landmarks_path=wrong), "a shape predictor"),
        (EngineParameters(engine="dlib", detector_path=wrong), "a face detector"),
    ):
        with pytest.raises(WeightsError, match=rf"wrong\.dat is not {kind} as dlib writes it: ") as raised:
            load_engine(parameters)
        assert "\n" not in str(raised.value)

"""`facestream replay --topic scans`: the faces of the archive by another embedder, beside the live generation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import DBSCAN

from catalogue import reader
from catalogue.connection import connect
from cli.generation_consumers import run_catalogue, run_clusterer, run_detect, run_first_clusterer, run_index
from consumers import catalogue, index
from models.analyse import Engine, EngineParameters, load_engine
from models.images import RgbImage
from sample.archive import COLLINS, HOPPER
from schemas.faces import ScanAnalysed
from schemas.generations import State
from schemas.scans import ScanPublished
from schemas.topics import DEAD_LETTERS, FACES, SCANS, Tombstone, of_generation
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.generations import read_generations
from stream.reading import latest_events, read_to_end
from tests.builders import networks, photographs
from tests.builders.clock import NOON, wait_until
from tests.builders.commands import Facestream
from tests.builders.generations import archive_settings, places, places_of, wait_for_tables
from tests.builders.kafka import end_session, publish, running
from tests.builders.killed import kill_at
from tests.builders.scans import analyse

pytestmark = [pytest.mark.weights, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(900)]

GREEN = of_generation(FACES, "green")

Analyses = dict[str, tuple[ScanPublished, RgbImage]]


def pictures() -> dict[str, RgbImage]:
    """A group of three, two faces alone, and the same ones again, smaller."""
    return {
        "group": photographs.group_photo(),
        **{
            f"{name}-{size}": np.asarray(photographs.portrait_of(portrait, size))
            for name, portrait in (("hopper", HOPPER), ("collins", COLLINS))
            for size in (150, 120)
        },
    }


def scans_in(folder: Path, named: Mapping[str, RgbImage]) -> Analyses:
    found = {}
    for minute, (name, picture) in enumerate(named.items()):
        path = folder / f"{name}.png"
        Image.fromarray(picture).save(path)
        found[name] = (
            ScanPublished(
                scan_id=f"album/{name}",
                uri=path.as_uri(),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                media_type="image/png",
                collection="album",
                published_at=NOON.replace(minute=minute),
            ),
            picture,
        )
    return found


def vectors_of(analyses: Sequence[ScanAnalysed]) -> dict[str, np.ndarray]:
    return {face.face_id: face.vector for one in analyses for face in one.faces}


def as_published(settings: Settings) -> list[ScanAnalysed]:
    return list(latest_events(settings.kafka, GREEN, ScanAnalysed, lambda scan: scan).values())


def clusters(vectors: Mapping[str, np.ndarray], eps: float) -> set[frozenset[str]]:
    """scikit-learn's."""
    labels = DBSCAN(eps=eps, min_samples=1).fit_predict(np.array(list(vectors.values()), dtype=np.float64))
    return {frozenset(face for face, one in zip(vectors, labels, strict=True) if one == label) for label in set(labels)}


def grouped(placed: Mapping[str, str | None]) -> set[frozenset[str]]:
    return {frozenset(face for face, one in placed.items() if one == cluster) for cluster in set(placed.values())}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return networks.described(tmp_path, networks.embedder(tmp_path / "embedder.onnx"), networks.EMBEDDER)


@pytest.fixture
def settings(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("FACESTREAM_MODELS__PROCESSES", "1")
    monkeypatch.setenv("FACESTREAM_STORES__ROOTS", json.dumps([str(tmp_path)]))
    return archive_settings(tmp_path / "data", empty_kafka, database, monkeypatch)


def test_faces_are_compared_by_another_embedder_and_keep_their_ids_and_names(
    tmp_path: Path, settings: Settings, small: Path, facestream: Facestream
) -> None:
    dlib = load_engine(EngineParameters(provider="cpu", upsample=0))
    other = load_engine(EngineParameters(provider="cpu", upsample=0, embedder=str(small)))
    archive = scans_in(tmp_path, pictures())
    late = archive.pop("collins-120")
    by_dlib = {name: analyse(dlib, *one) for name, one in archive.items()}
    group = by_dlib["group"]
    # As after an erasure, and after a withdrawal.
    erased = group.faces[-1].face_id
    left = group.model_copy(update={"faces": group.faces[:-1]})
    gone = archive["hopper-120"][0].scan_id
    publish(settings.kafka, [scan for scan, _ in archive.values()])
    publish(settings.kafka, [*by_dlib.values(), left, Tombstone(SCANS, gone), Tombstone(FACES, gone)])

    live = {**by_dlib, "group": left}
    del live["hopper-120"]
    expected = _as_from_the_beginning(other, archive, live)
    # A picture without a face is not looked at again.
    lost = archive["group"][0].model_copy(update={"scan_id": "album/back", "uri": (tmp_path / "no.png").as_uri()})
    publish(settings.kafka, [lost, group.model_copy(update={"scan_id": "album/back", "faces": ()})])
    ((name, *_),) = [list(vectors_of([by_dlib["hopper-150"]]))]
    with running(settings, index.run, run_first_clusterer, catalogue.run):
        wait_until(lambda: places_of(settings, "blue").keys() == expected.keys(), "it does not begin", 120)
        assert facestream("label", name, "Grace Hopper").code == 0
        blue = nearest(settings, name)

        replay = ("replay", "--into", "green", "--topic", "scans", "--embedder", small, "--yes")
        kill_at("cli.building:_start", replay, "after", calls=1)
        kill_at("cli.building:_Shown.update", replay, "after", calls=2)
        assert read_generations(settings.kafka).state("green") is State.BUILDING
        ended = facestream(*replay)
        assert ended.code == 0, ended.err
        assert f"embedder {other.space.embedder}" in ended.err
        assert "reads   faces from offset 0" in ended.err

        found = vectors_of(as_published(settings))
        assert found.keys() == expected.keys()
        assert erased not in found
        assert not list(read_to_end(settings.kafka, DEAD_LETTERS))
        assert max(float(np.abs(found[it] - expected[it]).max()) for it in expected) < 1e-5
        assert grouped(places_of(settings, "green")) == clusters(expected, other.space.eps)
        compared = json.loads(facestream("compare", "blue", "green", "--json").out.splitlines()[-1])
        assert (compared["faces"], compared["only_in_one"], compared["only_in_other"]) == (len(expected), 0, 0)
        assert "the generation green is built" in facestream(*replay).out
        # Its file is moved; the consumers that follow it read the new one.
        moved = small.rename(tmp_path / "moved.toml")
        assert "recorded: " in facestream(*(moved if one == small else one for one in replay)).out

        followers = [partial(run, generation="green", max_rate=None) for run in (run_detect, run_index, run_clusterer)]
        with running(settings, *followers, partial(run_catalogue, generation="green")):
            promoted = facestream("promote", "green")
            assert promoted.code == 0, promoted.err
            assert by_name(facestream, name) == "Grace Hopper"
            assert nearest(settings, name) == pytest.approx(distances(found, name), abs=1e-5)
            refused = facestream("reanalyse", "--all", "--embedder", moved)
            assert "the generation green is live, which keeps what it was built with" in refused.err
            # What is published now reaches both.
            of_late = analyse(dlib, *late)
            publish(settings.kafka, [late[0]])
            publish(settings.kafka, [of_late])
            everything = expected.keys() | vectors_of([of_late]).keys()
            wait_until(lambda: places_of(settings, "green").keys() == everything, "it does not go on", 120)
            wait_for_tables(settings)
            assert places_of(settings, "blue").keys() == everything
            assert facestream("rollback").code == 0
            assert by_name(facestream, name) == "Grace Hopper"
            after = nearest(settings, name)
            assert {face: after[face] for face in blue} == pytest.approx(blue)
        for group_id in ("detect-green", "index-green", "cluster-green", "catalogue-green"):
            end_session(settings.kafka, group_id)
        retired = facestream("retire", "green", "--yes")
        assert retired.code == 0, retired.err
    admin = clients.admin(settings.kafka)
    assert not [topic for topic in admin.list_topics() if topic.endswith("-green")]
    admin.close()
    with connect(settings.database) as connection:
        assert connection.execute("SELECT to_regclass('embeddings_green')").fetchone() == (None,)
        assert places(connection).keys() == everything


def _as_from_the_beginning(other: Engine, archive: Analyses, live: Mapping[str, ScanAnalysed]) -> dict[str, np.ndarray]:
    """The embeddings of these faces in an archive that had the other embedder from the beginning."""
    by_other = vectors_of([analyse(other, *archive[name]) for name in live])
    return {face_id: by_other[face_id] for face_id in vectors_of(list(live.values()))}


def nearest(settings: Settings, face_id: str) -> dict[str, float]:
    with connect(settings.database) as connection:
        return {it.face.face_id: it.distance for it in reader.similar(connection, face_id, 100)}


def distances(vectors: Mapping[str, np.ndarray], face_id: str) -> dict[str, float]:
    return {it: float(np.linalg.norm(one - vectors[face_id])) for it, one in vectors.items() if it != face_id}


def by_name(facestream: Facestream, face_id: str) -> str:
    # Consumers that run here may log in between.
    shown = json.loads(facestream("show", face_id, "--json").out.splitlines()[-1])
    name: str = shown["hard_label"]["name"]
    return name


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--topic", "scans"), "--topic scans is for another embedder"),
        (("--embedder", "dlib"), "another embedder: scans have to be looked at again, --topic scans"),
        (("--topic", "scans", "--embedder", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("--topic", "scans", "--embedder", "mobilefacenet"), "the network mobilefacenet has no file"),
        (("--topic", "scans", "--embedder", "{small}", "--distance", "calibrated"), "here distances are euclidean"),
        (("--topic", "scans", "--embedder", "{small}", "--from-offset", "0"), "are for --topic neighbours"),
    ],
)
@pytest.mark.usefixtures("settings")
def test_what_cannot_be_is_one_line(small: Path, facestream: Facestream, options: Sequence[str], reason: str) -> None:
    ended = facestream("replay", "--into", "green", *(one.format(small=small) for one in options), "--yes")
    assert ended.code == 1
    assert reason in ended.err
    assert len(ended.err.strip().splitlines()) == 1


@pytest.mark.usefixtures("settings")
def test_beside_another_embedder_s_archive_dlib_s_has_its_own_thresholds_and_reference(
    small: Path, facestream: Facestream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", str(small))
    options = ("--topic", "scans", "--embedder", "dlib", "--distance", "calibrated")
    plan = facestream("replay", "--into", "green", *options).err
    assert "generation green: distance calibrated, reference builtin, eps 0.418, eps_max 0.46" in plan
    plan = facestream("replay", "--into", "green", "--topic", "scans", "--embedder", small, "--eps", "0.6").err
    assert "generation green: distance euclidean, eps 0.6, eps_max 0.6" in plan

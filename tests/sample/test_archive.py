from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from errors import UserError
from producers.files import list_sources, scans_of
from sample import archive as sample_archive
from sample.archive import build_sample, read_truth
from sample.truth import Score, TrueFace, Truth, score
from schemas.scans import Box
from tests.builders.clock import NOON
from tests.builders.stores import fetch_anywhere

HOPPER, COLLINS = "Grace Hopper", "Eileen Collins"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "sample"
    build_sample(folder)
    return folder


def test_the_sample_is_thirty_scans_in_all_formats_and_its_truth_names_each_of_them(archive: Path) -> None:
    listing = list_sources([archive])
    scans = [scan for source in listing.sources for scan in scans_of(source, lambda: NOON, fetch_anywhere)]
    truth = read_truth(archive)
    assert {scan.scan_id for scan in scans} == {f"sample/{name}" for name in truth}
    assert len(scans) == 30
    assert {Path(source.uri).suffix for source in listing.sources} == {".jpg", ".png", ".tif", ".tiff", ".jp2", ".webp"}
    people = [face.person for faces in truth.values() for face in faces]
    assert (people.count(HOPPER), people.count(COLLINS)) == (16, 16)
    assert sum(not faces for faces in truth.values()) == 6
    assert max(scan.page or 0 for scan in scans) == 3
    with Image.open(archive / "prints" / "hopper_16bit.tif") as image:
        assert image.mode == "I;16"


def test_the_faces_lie_on_their_scans_and_are_large_enough_to_be_detected(archive: Path) -> None:
    truth = read_truth(archive)
    assert sum(len(faces) for faces in truth.values()) == 32
    for name, faces in truth.items():
        with Image.open(archive / name.partition("#")[0]) as image:
            assert max(image.size) <= 900
            for face in faces:
                assert min(face.box.left, face.box.top) >= 0
                assert max(face.box.right, face.box.bottom) <= 1
                assert (face.box.right - face.box.left) * image.width >= 90


def test_building_it_again_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    build_sample(tmp_path)
    assert len(files_with_bytes(archive)) == 29  # 28 files with scans and the truth
    assert files_with_bytes(tmp_path) == files_with_bytes(archive)


def files_with_bytes(folder: Path) -> dict[str, str]:
    """The digest of each file, by its path in the folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_without_the_packages_the_error_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample_archive, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(UserError, match="pip install matplotlib scikit-image"):
        build_sample(tmp_path)


def box(left: float) -> Box:
    return Box(left=left, top=0.2, right=left + 0.2, bottom=0.4)


TRUTH: Truth = {
    "a.jpg": (TrueFace(person=HOPPER, box=box(0.1)), TrueFace(person=COLLINS, box=box(0.6))),
    "b.jpg": (TrueFace(person=HOPPER, box=box(0.1)),),
    "c.jpg": (),
}


def test_a_perfect_clustering_gets_a_perfect_score() -> None:
    clusters = {"1": [("s/a.jpg", box(0.11)), ("s/b.jpg", box(0.1))], "2": [("s/a.jpg", box(0.59))]}
    result = score(TRUTH, clusters)
    assert result == Score(faces=3, found=3, pure=3, people=2, whole=2, mixed=0, strays=0)
    assert str(result) == "3 of 3 faces found, 2 of 2 people each in one cluster, 0 mixed clusters"


def test_a_mixed_cluster_a_person_in_two_and_a_missed_face_are_counted() -> None:
    mixed = score(TRUTH, {"1": [("s/a.jpg", box(0.1)), ("s/a.jpg", box(0.6))], "2": [("s/b.jpg", box(0.1))]})
    assert mixed == Score(faces=3, found=3, pure=1, people=2, whole=1, mixed=1, strays=0)
    missed = score(TRUTH, {"1": [("s/b.jpg", box(0.1))]})
    assert missed == Score(faces=3, found=1, pure=1, people=2, whole=1, mixed=0, strays=0)


def test_faces_that_the_truth_does_not_know_are_strays() -> None:
    found = [("s/a.jpg", box(0.35)), ("s/c.jpg", box(0.1)), ("s/other.jpg", box(0.1))]
    assert score(TRUTH, {"1": found}) == Score(faces=3, found=0, pure=0, people=2, whole=0, mixed=0, strays=3)
    assert score(TRUTH, {}) == Score(faces=3, found=0, pure=0, people=2, whole=0, mixed=0, strays=0)

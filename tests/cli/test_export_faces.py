"""`facestream export-faces` on a real catalogue, with real pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.export_faces import cut
from schemas.scans import Box, ScanPublished
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream

# On a scan of 100 x 200: with its margin from 34 to 66, and from 84 to 116.
BOX = Box(left=0.40, top=0.45, right=0.60, bottom=0.55)
RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., ScanPublished]:
    """Makes a scan of 100 x 200, gray, with a square of a colour at BOX."""

    def making(name: str, colour: tuple[int, int, int]) -> ScanPublished:
        picture = Image.new("RGB", (100, 200), "gray")
        picture.paste(colour, (40, 90, 60, 110))
        path = tmp_path / f"{name}.png"
        picture.save(path)
        return published(name, path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    return making


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))


@pytest.fixture
def album(
    write: WriteMessages, scan: Callable[..., ScanPublished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_STORES__ROOTS", json.dumps([str(tmp_path)]))
    write("scans", scan("one", RED), scan("two", BLUE))
    outside = Box(left=1.5, top=1.5, right=2, bottom=2)
    write("faces", analysed("one", face("f1", box=BOX), face("n1", box=BOX), face("out", box=outside)))
    write("faces", analysed("two", face("f2", box=BOX), face("g1", box=BOX), face("new", box=BOX)))
    write("assignments", assigned("f1", "one", "f1"), assigned("n1", "one", None), assigned("out", "one", None))
    write("assignments", assigned("f2", "two", "f1"), assigned("g1", "two", "g/1"))


@pytest.mark.usefixtures("album")
def test_each_cluster_has_a_folder_with_the_chips_of_its_faces(facestream: Facestream, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "faces"
    ended = facestream("export-faces", folder)
    digest = hashlib.sha256(b"g/1").hexdigest()[:12]
    assert files_in(folder) == ["1-2-f1/f1.jpg", "1-2-f1/f2.jpg", f"2-1-g_1-{digest}/g1.jpg", "noise/n1.jpg"]
    assert ended.out.strip() == f"faces written to {folder}: 4"
    assert "one: the box of face out is outside of the scan" in ended.err
    assert ended.err.strip().splitlines()[-1] == "facestream: faces that could not be cut, for the reasons above: 1"
    assert ended.code == 1
    for name, colour in (("f1", RED), ("f2", BLUE)):
        chip = np.asarray(Image.open(folder / f"1-2-f1/{name}.jpg"))
        assert chip.shape == (32, 32, 3)
        assert np.abs(chip[16, 16].astype(int) - colour).max() < 20


def test_a_chip_ends_where_the_scan_does() -> None:
    picture = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(200, 100, 3)
    chip = cut(picture, Box(left=-0.2, top=0.9, right=0.2, bottom=1.1))
    assert np.array_equal(chip, picture[168:, :32])


@pytest.mark.parametrize("harm", ["removed", "replaced", "damaged"])
@pytest.mark.usefixtures("album")
def test_a_scan_that_cannot_be_read_is_reported_and_the_rest_goes_on(
    facestream: Facestream, write: WriteMessages, tmp_path: Path, harm: str
) -> None:
    one = tmp_path / "one.png"
    if harm == "removed":
        one.unlink()
        reason = f"one: nothing is at {one.as_uri()}"
    elif harm == "replaced":
        one.write_bytes((tmp_path / "two.png").read_bytes())
        reason = f"one: {one.as_uri()} has another sha256 than it was published with: publish it again as it is now"
    else:
        one.write_bytes(one.read_bytes()[:60])
        write("scans", published("one", one.as_uri(), sha256=hashlib.sha256(one.read_bytes()).hexdigest()))
        reason = "one: the image is damaged"
    ended = facestream("export-faces", tmp_path / "out")
    assert reason in ended.err
    assert "faces that could not be cut, for the reasons above: 3" in ended.err
    assert ended.code == 1
    assert [Path(name).name for name in files_in(tmp_path / "out")] == ["f2.jpg", "g1.jpg"]


@pytest.mark.usefixtures("album")
def test_its_own_folder_is_written_again_and_other_files_in_it_stay(
    facestream: Facestream, write: WriteMessages, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    facestream("export-faces", out)
    (out / "noise" / "who is this.txt").touch()
    (out / "mine").mkdir()
    (out / "mine" / "kept.jpg").touch()
    write("assignments", assigned("f2", "two", None), assigned("n1", "one", "f1"))
    facestream("export-faces", out)
    found = [name for name in files_in(out) if "g1" not in name]
    assert found == ["1-2-f1/f1.jpg", "1-2-f1/n1.jpg", "mine/kept.jpg", "noise/f2.jpg"]
    assert (out / "noise" / "who is this.txt").exists()


@pytest.mark.usefixtures("album")
def test_a_folder_with_something_else_in_it_is_refused(facestream: Facestream, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").touch()
    ended = facestream("export-faces", tmp_path / "out")
    assert ended.code == 1
    assert ended.err.strip() == (
        f"facestream: {tmp_path / 'out'} is not empty and was not made by this command: name another folder"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.doc"]


def test_a_file_in_the_place_of_the_folder_is_refused(facestream: Facestream, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    ended = facestream("export-faces", tmp_path / "out")
    assert (ended.code, len(ended.err.strip().splitlines())) == (1, 1)
    assert "out cannot be written" in ended.err


def test_an_empty_catalogue_makes_an_empty_folder(facestream: Facestream, tmp_path: Path) -> None:
    ended = facestream("export-faces", tmp_path / "out")
    assert (ended.code, ended.out.strip()) == (0, f"faces written to {tmp_path / 'out'}: 0")

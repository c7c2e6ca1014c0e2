"""`facestream export` on a real catalogue: all that is held about a person, as files."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas.scans import Box
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream
from tests.builders.decisions import merged, named, renamed, undone

BOX = Box(left=0.4, top=0.4, right=0.6, bottom=0.6)


@pytest.fixture
def archive(write: WriteMessages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan with faces of two people, of whom one was named under two label ids."""
    monkeypatch.setenv("FACESTREAM_STORES__ROOTS", json.dumps([str(tmp_path)]))
    path = tmp_path / "one.png"
    Image.new("RGB", (100, 100), "gray").save(path)
    write("scans", published("one", path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    write("faces", analysed("one", face("f1", box=BOX), face("f2", box=BOX), face("f3", box=BOX)))
    write(
        "labels",
        named(1, "f1", "anna"),
        named(2, "f2", "bert"),
        renamed(3, "anna", "Anna Tamm"),
        merged(4, "anna", "anna-t"),
        undone(5, "004"),
    )
    write("assignments", assigned("f1", "one", "f1", name="anna"))
    write("assignments", assigned("f2", "one", "f2", name="bert"))


def read(folder: Path, name: str) -> Any:  # noqa: ANN401
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("archive")
def test_all_that_is_held_about_a_person_is_written_and_nothing_of_others(
    facestream: Facestream, tmp_path: Path
) -> None:
    folder = tmp_path / "access"
    ended = facestream("export", folder, "--person", "anna tamm")
    assert ended.code == 0, ended.err
    assert read(folder, "person") == {"label_ids": ["anna"], "name": "Anna Tamm", "authority": None}
    (held,) = read(folder, "faces")
    assert (held["face_id"], held["hard_label"]) == ("f1", "anna")
    assert len(json.loads(held["embedding"])) == 128
    assert [one["decision_id"] for one in read(folder, "decisions")] == ["001", "003", "004", "005"]
    assert [one["scan_id"] for one in read(folder, "scans")] == ["one"]
    assert [path.name for path in (folder / "crops").iterdir()] == ["f1.jpg"]


@pytest.mark.usefixtures("archive")
def test_a_crop_is_in_the_folder_whatever_the_id_of_its_face(
    facestream: Facestream, write: WriteMessages, tmp_path: Path
) -> None:
    outside = Box(left=1.5, top=1.5, right=2, bottom=2)
    strange = ("../../up", "a/b", "f1.", "x" * 1_000)
    write("faces", analysed("one", *(face(face_id, box=BOX) for face_id in strange), face("gone", box=outside)))
    write("labels", *(named(10 + number, face_id, "dora") for number, face_id in enumerate((*strange, "gone"))))
    write("assignments", *(assigned(face_id, "one", None, name="dora") for face_id in (*strange, "gone")))
    folder = tmp_path / "here" / "access"
    ended = facestream("export", folder, "--person", "dora")
    assert ended.err.splitlines() == [
        "one: the box of face gone is outside of the scan",
        "facestream: faces that could not be cut, for the reasons above: 1",
    ]
    written = [path for path in tmp_path.rglob("*.jpg") if path.is_file()]
    assert {path.parent for path in written} == {folder / "crops"}
    assert len(written) == len(strange)
    assert {face["face_id"] for face in read(folder, "faces")} == {*strange, "gone"}


@pytest.mark.usefixtures("archive")
def test_a_disk_that_takes_no_crops_is_one_line(
    facestream: Facestream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    ended = facestream("export", tmp_path / "access", "--person", "anna tamm")
    assert (ended.code, ended.err.strip()) == (
        1,
        f"facestream: {tmp_path / 'access' / 'crops'} cannot be written: No space left on device",
    )


@pytest.mark.usefixtures("archive")
def test_a_folder_with_something_in_it_and_an_unknown_person_are_refused(
    facestream: Facestream, tmp_path: Path
) -> None:
    assert "is not empty: name another folder" in facestream("export", tmp_path, "--person", "Anna Tamm").err
    ended = facestream("export", tmp_path / "new", "--person", "Dora")
    assert (ended.code, "nobody is called Dora" in ended.err) == (1, True)


@pytest.mark.usefixtures("archive")
def test_the_vector_of_a_face_is_shown_for_a_search_of_ones_own(facestream: Facestream, write: WriteMessages) -> None:
    numbers = np.random.default_rng(2).normal(0, 0.1, 128).astype("<f4")
    write("faces", analysed("two", face("g1", numbers.tolist())))
    write("scans", published("two"))
    (shown,) = facestream("show", "g1", "--json", "--embedding").json_lines()
    assert base64.b64decode(shown["embedding"]) == numbers.tobytes()
    assert "embedding" not in facestream("show", "g1", "--json").json_lines()[0]
    assert "--embedding goes with --json" in facestream("show", "g1", "--embedding").err

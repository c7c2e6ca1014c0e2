"""`facestream evaluate` as a person types it, on the graph and the catalogue that are there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from evaluation.measures import measure
from schemas.scans import Box
from settings import KafkaSettings
from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream
from tests.builders.kafka import name_broker, publish
from tests.builders.neighbours import Edge, record

# Ann is a and b, Bob c and d; c is nearer to b than to d. e is on the scan of d, away from the middle.
SCANS: dict[str, dict[str, list[Edge]]] = {
    "a.jpg": {"a": []},
    "b.jpg": {"b": [("a", 0, 0.30)]},
    "c.jpg": {"c": [("b", 1, 0.42)]},
    "d.jpg": {"d": [("c", 2, 0.46)], "e": []},
    "empty.jpg": {},
}
CORNER = Box(left=0.0, top=0.0, right=0.2, bottom=0.2)


@pytest.fixture
def broker(kafka: KafkaSettings, write: WriteMessages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Five faces, and the folder of their scans."""
    name_broker(kafka, monkeypatch)
    monkeypatch.setenv("COLUMNS", "100")
    for number, (name, faces) in enumerate(SCANS.items()):
        publish(kafka, [record(f"album/{name}", number, faces, shards=1, eps_max=0.5)])
        write("scans", published(f"album/{name}", (tmp_path / name).as_uri()))
        boxes = {face_id: CORNER if face_id == "e" else None for face_id in faces}
        write("faces", analysed(f"album/{name}", *(face(face_id, box=box) for face_id, box in boxes.items())))
        for face_id in faces:
            write("assignments", assigned(face_id, f"album/{name}", face_id))
    return tmp_path


def truth(folder: Path, *rows: str, header: str = "path\tidentity") -> Path:
    path = folder / "manifest.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def full_truth(folder: Path) -> Path:
    return truth(folder, "a.jpg\tAnn", "b.jpg\tAnn", "c.jpg\tBob", "d.jpg\tBob")


def test_each_eps_has_the_measures_of_its_clusters(facestream: Facestream, broker: Path) -> None:
    ended = facestream("evaluate", "--truth", full_truth(broker), "--from", 0.25, "--step", 0.125, "--json")
    rows = {row["eps"]: row for row in ended.json_lines()}
    people = ["Ann", "Ann", "Bob", "Bob"]
    expected = {0.25: ["1", "2", "3", "4"], 0.375: ["1", "1", "3", "4"], 0.5: ["1", "1", "1", "1"]}
    assert rows.keys() == {*expected, 0.37}
    for eps, clusters in expected.items():
        measures = vars(measure(people, clusters))
        assert {name: rows[eps][name] for name in measures} == pytest.approx(measures)
    assert [eps for eps, row in rows.items() if row["present"]] == [0.37]
    assert (rows[0.5]["faces"], rows[0.5]["people"]) == (4, 2)
    assert rows[0.37]["chosen"] == ["full_precision", "balance"]
    assert rows[0.5]["chosen"] == ["full_recall"]


def test_it_is_a_table_a_plot_a_csv_and_a_png_too(facestream: Facestream, broker: Path) -> None:
    csv_file, png_file = broker / "rows.csv", broker / "plot.png"
    ended = facestream("evaluate", "--truth", full_truth(broker), "--csv", csv_file, "--png", png_file)
    assert ended.code == 0, ended.err
    assert "4 faces of 2 people" in ended.out
    assert "scans with several faces, of which the one nearest to the middle was taken: 1" in ended.out
    assert "full precision: eps 0.3, pairs P 1.000 R 0.500" in ended.out
    assert "full recall: eps 0.46" in ended.out
    assert "the thesis, its own photographs, balance: eps 0.37, ARI 0.697, AMI 0.726, V 0.862" in ended.out
    assert "⠤⠤ pairs recall" in ended.out
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    printed = facestream("evaluate", "--truth", full_truth(broker), "--json").json_lines()
    assert [float(row["ari"]) for row in rows] == [row["ari"] for row in printed]
    assert [row["eps"] for row in rows if row["chosen"] == "full_precision balance"] == ["0.3"]
    with Image.open(png_file) as picture:
        assert picture.size == (960, 600)


@pytest.mark.usefixtures("broker")
def test_names_that_archivists_gave_are_the_truth_without_a_file(facestream: Facestream, write: WriteMessages) -> None:
    assert facestream("evaluate").err.strip() == (
        "facestream: no face in this archive has a name: give --truth FILE, or name some (facestream label)"
    )
    for face_id, name in {"a": "ann", "b": "ann", "c": "bob"}.items():
        write("assignments", assigned(face_id, f"album/{face_id}.jpg", face_id, name=name))
    (row,) = facestream("evaluate", "--from", 0.5, "--json").json_lines()
    assert (row["faces"], row["people"], row["pair_precision"], row["pair_recall"]) == (3, 2, 1 / 3, 1)


def test_a_point_chooses_a_face_of_several(facestream: Facestream, broker: Path) -> None:
    rows = ("d.jpg\tBob\t0.4\t0.5", "d.jpg\tEve\t0.1\t0.1")
    path = truth(broker, *rows, header="path\tidentity\tx\ty")
    (row,) = facestream("evaluate", "--truth", path, "--from", 0.5, "--json").json_lines()
    assert (row["faces"], row["people"]) == (2, 2)


def test_scans_that_are_unknown_or_have_no_face_are_reported_and_left_out(facestream: Facestream, broker: Path) -> None:
    path = truth(broker, "a.jpg\tAnn", "b.jpg\tAnn", "gone.jpg\tAnn", "lost.jpg\tBob", "empty.jpg\tCid")
    ended = facestream("evaluate", "--truth", path, "--from", 0.5, "--json")
    assert [json.loads(line)["faces"] for line in ended.out.splitlines()] == [2]
    assert ended.err.splitlines() == [
        f"{path}: scans or faces that are not in this archive: 2 (line 4: gone.jpg, …)",
        f"{path}: scans without a face there, or not analysed yet: 1 (line 6: empty.jpg)",
        "all of these faces are of one person: only recall says something",
    ]


def test_a_truth_that_leaves_measures_without_a_meaning_is_one_line(facestream: Facestream, broker: Path) -> None:
    for rows, title, warning in (
        (
            ["a.jpg\tTõnu 李", "b.jpg\tTõnu 李"],
            "2 faces of 1 person",
            "all of these faces are of one person: only recall",
        ),
        (["a.jpg\tAnn", "c.jpg\tBob"], "2 faces of 2 people", "no person has two of these faces: only precision"),
        (["a.jpg\tAnn"], "1 face of 1 person", "all of these faces are of one person: only recall"),
    ):
        ended = facestream("evaluate", "--truth", truth(broker, *rows), "--from", 0.5)
        assert ended.code == 0
        assert title in ended.out
        (line,) = ended.err.splitlines()
        assert line.startswith(warning)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["gone.jpg\tAnn"], "none of its scans is in this archive (line 2: gone.jpg): name them by the paths that"),
        (["empty.jpg\tAnn"], "on none of its scans in this archive is there a face (line 2: empty.jpg)"),
        (["d.jpg\tBob", "d.jpg\tEve"], "lines 2 and 3 name one face of d.jpg Bob and Eve: where a scan has several"),
    ],
)
def test_a_truth_that_does_not_fit_is_one_clear_line(
    facestream: Facestream, broker: Path, rows: list[str], reason: str
) -> None:
    ended = facestream("evaluate", "--truth", truth(broker, *rows))
    assert ended.code == 1
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert reason in line


def test_neighbours_by_another_distance_are_one_clear_line(
    facestream: Facestream, broker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_CLUSTERING__DISTANCE", "calibrated")
    for command in (["evaluate", "--truth", full_truth(broker)], ["sweep"]):
        ended = facestream(*command)
        assert ended.code == 1
        assert "by euclidean distance: set FACESTREAM_CLUSTERING__DISTANCE=euclidean, or let" in ended.err


def test_a_file_that_cannot_be_written_is_one_clear_line(facestream: Facestream, broker: Path) -> None:
    for option in ("--csv", "--png"):
        ended = facestream("evaluate", "--truth", full_truth(broker), option, broker / "no" / "file")
        assert ended.code == 1
        assert ended.err.strip().endswith("cannot be written: No such file or directory")

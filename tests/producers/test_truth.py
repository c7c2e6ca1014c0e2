"""A truth file is read as it is written by hand, by a spreadsheet or by a program; what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import UserError
from producers.truth import read_truth, with_scan_ids


def written(folder: Path, text: str | bytes, name: str = "manifest.tsv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_tsv_names_people_by_path_and_skips_pictures_of_nobody(tmp_path: Path) -> None:
    path = written(tmp_path, 'path\tidentity\tlicence\nann/1.jpg\tAnn "the first"\tfree\nbacks/2.jpg\t-\t\n3.jpg\t\t\n')
    (named,) = read_truth(path)
    assert (named.row.person, named.row.line) == ('Ann "the first"', 2)
    assert named.uri == (tmp_path / "ann" / "1.jpg").as_uri()
    assert named.scan_ids == ("ann/1.jpg", f"{tmp_path.name}/ann/1.jpg")


def test_a_csv_and_json_lines_may_name_scans_faces_and_points(tmp_path: Path) -> None:
    (named,) = read_truth(written(tmp_path, "scan_id,identity,x,y\nalbum/1,Ann,0.25,0.5\n", "m.csv"))
    assert (named.scan_ids, named.row.point) == (("album/1",), (0.25, 0.5))
    (named,) = read_truth(written(tmp_path, '{"face_id": "f1", "identity": "Ann"}\n', "m.jsonl"))
    assert (named.row.face_id, named.scan_ids) == ("f1", ())


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m.tsv", "path,identity\na.jpg,Ann\n", "line 1: no column identity; the columns are: path,identity (in a TSV"),
        ("m.tsv", "", "line 1: no column identity; the columns are: none"),
        ("m.tsv", b"\xff\xd8\xff\xe0\x00\x10JFIF", "line 1: not UTF-8"),
        ("m.tsv", "path\tidentity\na.jpg\n", "line 2: 1 cells, the header has 2"),
        ("m.tsv", "path\tidentity\na.jpg\t-\n", "no row names a person"),
        ("m.tsv", "title\tidentity\na\tAnn\n", "line 2: no scan; name it in a column path, scan_id or face_id"),
        ("m.tsv", "path\tidentity\tx\na.jpg\tAnn\t0.5\n", "line 2: x and y go together"),
        ("m.tsv", "path\tidentity\tx\ty\na.jpg\tAnn\t250\t0.5\n", "line 2: x: "),
        ("m.tsv", "path\tidentity\na\0.jpg\tAnn\n", "line 2: path: no name has a NUL in it"),
        ("m.jpg", "path\tidentity\n", "the name of a truth file ends with .tsv, .csv, .jsonl, .ndjson"),
        ("m.tsv", "x" * 100_000 + "\n", "line 1: no column identity"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, text: str | bytes, reason: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(UserError) as caught:
        read_truth(path)
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_a_name_is_the_same_in_both_forms_of_unicode(tmp_path: Path) -> None:
    named = read_truth(written(tmp_path, "path\tidentity\na.jpg\tJu\u0308ri\nb.jpg\tJ\u00fcri\n"))
    assert {it.row.person for it in named} == {"J\u00fcri"}


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.tsv: cannot be read \(No such file or directory\)"):
        read_truth(tmp_path / "none.tsv")


def test_a_path_is_the_scan_at_that_place_else_the_one_of_that_id(tmp_path: Path) -> None:
    path = written(tmp_path, "path\tidentity\na.jpg\tAnn\nb.jpg\tBob\nc.jpg\tCid\n")
    named = read_truth(path)
    rows = with_scan_ids(path, named, ["b.jpg"], {(tmp_path / "a.jpg").as_uri(): ["elsewhere/a.jpg"]})
    assert [row.scan_id for row in rows] == ["elsewhere/a.jpg", "b.jpg", None]


def test_a_path_with_several_pages_is_refused_with_the_id_of_one(tmp_path: Path) -> None:
    path = written(tmp_path, "path\tidentity\na.tif\tAnn\n")
    pages = {(tmp_path / "a.tif").as_uri(): ["x/a.tif#page=1", "x/a.tif#page=2"]}
    with pytest.raises(UserError, match=r"line 2: a\.tif has 2 pages in the archive: .* x/a\.tif#page=1 for example"):
        with_scan_ids(path, read_truth(path), [], pages)

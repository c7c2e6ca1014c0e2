"""`facestream similar` on a real catalogue."""

from __future__ import annotations

import json

import pytest

from tests.builders.catalogue import WriteMessages, analysed, assigned, face, published
from tests.builders.commands import Facestream

pytestmark = pytest.mark.usefixtures("faces")


@pytest.fixture
def faces(write: WriteMessages) -> None:
    write("scans", published("album/1.jpg"))
    there = [face("aa1"), face("ab2", [0.25]), face("ac3", [0.5]), face("ad4", [4])]
    write("faces", analysed("album/1.jpg", *there))
    write("assignments", assigned("aa1", "album/1.jpg", "aa1"), assigned("ab2", "album/1.jpg", "aa1"))
    write("assignments", assigned("ac3", "album/1.jpg", None))


def test_the_nearest_come_first_with_distance_scan_and_cluster(facestream: Facestream) -> None:
    ended = facestream("similar", "aa1")
    assert ended.code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in ended.out.splitlines() if "│" in line]
    assert rows == [
        ["ab2", "0.250", "album/1.jpg", "aa1"],
        ["ac3", "0.500", "album/1.jpg", "noise"],
        ["ad4", "4.000", "album/1.jpg", "not clustered yet"],
    ]


def test_the_beginning_of_an_id_will_do(facestream: Facestream) -> None:
    ended = facestream("similar", "aa", "--k", 1, "--json")
    assert ended.code == 0
    (line,) = ended.out.splitlines()
    found = json.loads(line)
    assert (found["face_id"], found["distance"], found["cluster_id"]) == ("ab2", 0.25, "aa1")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("zz", "facestream: there is no face 'zz' in the catalogue"),
        ("a", "facestream: 'a' is the beginning of more than one face's id, aa1 and ab2 among them"),
    ],
)
def test_an_id_that_names_no_single_face_is_one_clear_line(facestream: Facestream, asked: str, answer: str) -> None:
    ended = facestream("similar", asked)
    assert (ended.code, ended.err.strip()) == (1, answer)


def test_a_k_that_makes_no_sense_is_refused(facestream: Facestream) -> None:
    ended = facestream("similar", "aa1", "--k", 0)
    assert ended.code == 2
    assert "--k" in ended.err

"""The commands that decide: on a real broker, with a real catalogue."""

from __future__ import annotations

import getpass
import json
import unicodedata
from collections.abc import Callable

import pytest

from cli.common import now
from producers.decisions import read_decisions
from producers.publisher import Publisher
from schemas.decisions import Decision
from schemas.topics import LABELS, Tombstone
from settings import KafkaSettings
from tests.builders.catalogue import WriteMessages, analysed, face, published
from tests.builders.commands import CommandFailed, Facestream
from tests.builders.kafka import name_broker


@pytest.fixture(autouse=True)
def _album(kafka: KafkaSettings, write: WriteMessages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four faces, and nothing decided: what an earlier test decided is taken off the topic."""
    name_broker(kafka, monkeypatch)
    with Publisher(kafka, now, "tombstones", "") as publisher:
        for decision in read_decisions(kafka):
            publisher.send(Tombstone(LABELS, decision.decision_id))
    write("scans", published("s"))
    write("faces", analysed("s", *(face(face_id) for face_id in ("aa1", "ab2", "ac3", "b4"))))


@pytest.fixture
def decided(facestream: Facestream) -> Callable[..., str]:
    """Decides with --json; returns the id of the decision."""

    def deciding(*arguments: str) -> str:
        (line,) = facestream(*arguments, "--json").json_lines()
        if not line["decided"]:
            raise CommandFailed(line)
        return str(line["decision_id"])

    return deciding


def held(kafka: KafkaSettings) -> list[Decision]:
    return sorted(read_decisions(kafka), key=lambda decision: decision.order)


def test_a_face_is_named_in_one_line_with_the_id_to_undo_it(facestream: Facestream, kafka: KafkaSettings) -> None:
    ended = facestream(
        "label", "aa", "  Grace   Hopper ", "--note", "the caption", "--authority", "https://viaf.org/viaf/1"
    )
    (decision,) = held(kafka)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"face aa1 is Grace Hopper (decision {decision.decision_id})\n"
    assert decision.model_dump(include={"face_id", "label_id", "name", "authority", "note", "author"}) == {
        "face_id": "aa1",
        "label_id": "grace-hopper",
        "name": "Grace Hopper",
        "authority": "https://viaf.org/viaf/1",
        "note": "the caption",
        "author": getpass.getuser(),
    }
    assert facestream("label", "aa1", "GRACE hopper").out.startswith("it is so already: face aa1 is Grace Hopper (")
    other = facestream("label", "aa1", "Grace Brewster Hopper", "--label", "grace-hopper", "--author", "Bob")
    assert other.err.endswith("facestream people rename grace-hopper 'Grace Brewster Hopper' does\n")
    assert [decision.author for decision in held(kafka)] == [getpass.getuser()]


def test_everything_that_can_be_decided_about_faces_and_its_history(
    facestream: Facestream, decided: Callable[..., str], kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_AUTHOR", "Ann")
    name = decided("label", "aa1", "Grace Hopper")
    link = decided("link", "aa1", "ab2", "--note", "same dress")
    apart = decided("separate", "aa1", "b", "--author", "Bob")
    never = decided("reject", "b4", "GRACE HOPPER")
    back = decided("unlabel", "aa1")
    undo = decided("undo", back[:10])
    now_held = read_decisions(kafka)
    assert now_held.labels("aa1").hard == "grace-hopper"
    assert now_held.labels("b4").rejected == {"grace-hopper"}
    assert (set(now_held.linked("ab2")), now_held.separated("b4")) == ({"aa1"}, {"aa1"})

    lines = [json.loads(line) for line in facestream("history", "aa1", "--json").out.splitlines()]
    assert [
        (decision["decision_id"], decision["kind"], decision["author"], decision["holds"]) for decision in lines
    ] == [
        (name, "named", "Ann", True),
        (link, "linked", "Ann", True),
        (apart, "separated", "Bob", True),
        (back, "name-taken-back", "Ann", False),
        (undo, "undone", "Ann", True),
    ]
    monkeypatch.setenv("COLUMNS", "200")
    table = facestream("history", "b4").out
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines() if "│" in line]
    assert [row[1:] for row in rows] == [
        ["Bob", "is somebody else than aa1", "", "yes", apart[:8]],
        ["Ann", "is never Grace Hopper", "", "yes", never[:8]],
    ]
    assert ["Ann", f"undoes {back[:8]}", "", "yes", undo[:8]] in [
        [cell.strip() for cell in line.strip("│").split("│")][1:]
        for line in facestream("history", "aa1").out.splitlines()
    ]
    assert facestream("history", "ac3").out == "nothing was decided about face ac3\n"


def test_an_undo_says_what_it_takes_back_or_restores_and_a_new_name_which_it_replaces(
    facestream: Facestream, decided: Callable[..., str], kafka: KafkaSettings
) -> None:
    decided("label", "aa1", "Grace")
    assert facestream("label", "aa1", "Eileen").out.startswith("face aa1 is Eileen, no longer Grace (decision ")
    for outcome in ("undone", "restored", "undone"):
        last = held(kafka)[-1].decision_id
        assert facestream("undo", last).out.startswith(f"{outcome}: face aa1 is Eileen (decision ")
    assert read_decisions(kafka).labels("aa1").hard == "grace"


def test_what_is_so_already_is_said_and_not_published(facestream: Facestream, kafka: KafkaSettings) -> None:
    for arguments in (["label", "aa1", "Grace"], ["link", "aa1", "ab2"], ["separate", "aa1", "b4"]):
        facestream(*arguments, "--author", "Ann")
        before = held(kafka)
        again = facestream(*arguments)
        assert again.code == 0
        assert again.out.startswith("it is so already: face")
        assert "(Ann, 20" in again.out
        assert held(kafka) == before
    assert facestream("unlabel", "ac3").out == "it is so already: face ac3 has no name\n"
    assert json.loads(facestream("unlabel", "ac3", "--json").out) == {
        "decided": False,
        "already": "face ac3 has no name",
    }


def test_a_conflict_is_one_line_with_the_way_out(
    facestream: Facestream, decided: Callable[..., str], kafka: KafkaSettings
) -> None:
    first = decided("separate", "aa1", "ac3", "--author", "Ann")
    decided("link", "aa1", "ab2")
    before = held(kafka)
    ended = facestream("link", "ab2", "ac3")
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith("facestream: that faces ab2 and ac3 are one person conflicts with what was decided before:")
    assert f"faces aa1 and ac3 are different people (Ann, {before[0].decided_at:%Y-%m-%d}, decision {first})" in line
    assert f"facestream undo {first}" in line
    assert held(kafka) == before
    decided("undo", first)
    decided("link", "ab2", "ac3")
    undo = next(decision for decision in held(kafka) if decision.kind == "undone")
    assert "again, conflicts with" in facestream("undo", undo.decision_id).err


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["label", "zz", "Grace"], "there is no face 'zz' in the catalogue"),
        (["label", "a", "Grace"], "'a' is the beginning of more than one face's id, aa1 and ab2 among them"),
        (["label", "aa1", "  "], "the name is empty"),
        (["label", "aa1", "Grace", "--author", " "], "the author is empty"),
        (["label", "aa1", "Grace", "--note", ""], "the note is empty"),
        (["label", "aa1", "?"], "no label id can be made from the name ?: give one with --label"),
        (["reject", "aa1", "Grace"], "nobody is called Grace: facestream people lists who was named"),
        (["link", "aa1", "aa"], "both are the face aa1: give two different faces"),
        (["separate", "aa1", "zz"], "there is no face 'zz' in the catalogue"),
        (["undo", "zz"], "there is no decision 'zz'"),
        (["history", "zz"], "there is no face 'zz' in the catalogue"),
        (["history", "aa1", "--person", "Grace"], "a face and --person exclude each other: give one of them"),
        (["label", "aa1", "Eve\x1b[0m"], "the name has a control character, U+001B: leave it out"),
        (["people", "merge", "Grace", "Eve"], "nobody is called Grace: facestream people lists who was named"),
    ],
)
def test_wrong_input_is_one_clear_line(facestream: Facestream, arguments: list[str], answer: str) -> None:
    ended = facestream(*arguments)
    assert (ended.code, ended.out, ended.err) == (1, "", f"facestream: {answer}\n")


def test_people_of_one_name_are_distinguished_by_their_label_ids(
    facestream: Facestream, decided: Callable[..., str]
) -> None:
    decided("label", "aa1", "Anna Tamm")
    decided("label", "ab2", "Anna Tamm", "--label", "anna-tamm-of-narva")
    ended = facestream("label", "ac3", "anna tamm")
    assert "2 people are called anna tamm: anna-tamm, anna-tamm-of-narva; say which with --label" in ended.err
    decided("reject", "ac3", "anna-tamm-of-narva")


def test_the_history_of_a_face_that_vanished_can_be_read(
    facestream: Facestream, decided: Callable[..., str], write: WriteMessages
) -> None:
    first = decided("label", "aa1", "Grace")
    write("faces", analysed("s", face("b4")))
    (line,) = facestream("history", "aa1", "--json").out.splitlines()
    assert json.loads(line)["decision_id"] == first


def test_people_are_renamed_merged_and_removed_and_all_of_it_is_undone(
    facestream: Facestream, decided: Callable[..., str], kafka: KafkaSettings
) -> None:
    decided("label", "aa1", "Anna Tam")
    decided("label", "ab2", "Anna T.")
    assert facestream("people", "rename", "anna-tam", "Anna Tamm").out.startswith(
        "the person anna-tam is called Anna Tamm (decision "
    )
    merge = decided("people", "merge", "anna tamm", "anna-t", "--note", "the same hat")
    assert read_decisions(kafka).labels("ab2").hard == "anna-tam"
    removal = decided("people", "remove", "Anna Tamm")
    assert facestream("people", "remove", "Anna Tamm").err.startswith("facestream: nobody is called Anna Tamm")
    assert read_decisions(kafka).labels("aa1").hard is None
    assert facestream("undo", removal).out.startswith("undone: the person anna-tam is removed (decision ")
    decided("undo", merge)
    held = read_decisions(kafka)
    assert [(it.label_id, it.name) for it in held.people().values()] == [
        ("anna-tam", "Anna Tamm"),
        ("anna-t", "Anna T."),
    ]
    kinds = [line["kind"] for line in facestream("history", "--person", "Anna Tamm", "--json").json_lines()]
    assert kinds == ["renamed", "merged", "removed", "undone", "undone"]
    latest = facestream("history", "--limit", "2", "--json").json_lines()
    assert [(line["kind"], line["holds"]) for line in latest] == [("undone", True), ("undone", True)]


def test_who_gets_the_name_of_somebody_else_may_be_the_same_person(
    facestream: Facestream, decided: Callable[..., str]
) -> None:
    decided("label", "aa1", "Anna Tam")
    decided("label", "ab2", "Anna Tamm")
    renamed = facestream("people", "rename", "anna-tam", "Anna Tamm")
    assert renamed.err == (
        "anna-tam and anna-tamm are called so: if they are one person, facestream people merge anna-tam anna-tamm\n"
    )


def test_what_is_not_a_face_or_not_sure_is_decided_in_one_line(
    facestream: Facestream, decided: Callable[..., str], kafka: KafkaSettings
) -> None:
    decided("label", "aa1", "Grace")
    assert facestream("not-sure", "ab", "GRACE").out.startswith("face ab2 may or may not be Grace (decision ")
    none = decided("not-a-face", "ac")
    assert read_decisions(kafka).labels("ac3").not_a_face
    refused = facestream("label", "ac3", "Grace")
    assert "face ac3 is not a face (" in refused.err
    assert f"facestream undo {none}" in refused.err
    assert facestream("not-a-face", "ac3").out.startswith("it is so already: face ac3 is not a face (")
    assert "facestream undo" in facestream("not-a-face", "aa1").err


def test_names_in_nfc_and_nfd_are_one_person(facestream: Facestream, kafka: KafkaSettings) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Õie Mägi"), unicodedata.normalize("NFD", "Õie Mägi")
    assert facestream("label", "aa1", composed).code == facestream("label", "ab2", decomposed).code == 0
    assert list(read_decisions(kafka).people()) == ["õie-mägi"]


def test_the_options_of_a_decision_about_people_come_after_its_command(facestream: Facestream) -> None:
    ended = facestream("people", "--json", "remove", "Grace")
    assert ended.err == "facestream: give the options after the command: facestream people remove …\n"

"""Which person a typed name stands for."""

from __future__ import annotations

import unicodedata

import pytest

from decisions.holding import Person
from decisions.people import checked_text, find_people, free_label_id, known_person, person_to_name
from errors import UserError

GRACE = Person("grace-hopper", "Grace Hopper", None)
PEOPLE = {it.label_id: it for it in (GRACE, Person("a1", "Anna Tamm", None), Person("a2", "anna  tamm", None))}


@pytest.mark.parametrize(
    ("name", "label_id"),
    [
        ("Grace Hopper", "grace-hopper"),
        ("Õie Mägi-Sõõrd", "õie-mägi-sõõrd"),
        ("Лев Толстой (писатель)", "лев-толстой-писатель"),
        ("Straße No. 7_b", "strasse-no-7-b"),
        ("李 小龍", "李-小龍"),
    ],
)
def test_a_new_persons_label_id_is_made_from_the_name_in_its_script(name: str, label_id: str) -> None:
    assert person_to_name(name, None, {}) == Person(label_id, name, None)


def test_a_known_person_is_found_whatever_the_case_and_the_spaces() -> None:
    assert person_to_name("GRACE  hopper", None, PEOPLE) == GRACE
    assert known_person(" grace hopper ", PEOPLE) == GRACE
    assert known_person("grace-hopper", PEOPLE) == GRACE


def test_names_in_nfc_and_nfd_are_one_name() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Õie Mägi") for form in ("NFC", "NFD"))
    assert composed != decomposed
    people = {"õ": Person("õ", decomposed, None)}
    assert known_person(composed, people) == person_to_name(composed, None, people) == people["õ"]
    assert person_to_name(decomposed, None, {}).label_id == "õie-mägi"
    assert checked_text(decomposed, "the name") == composed


def test_a_given_label_id_is_taken_as_it_is_and_never_changes_a_name() -> None:
    assert person_to_name("Anna Tamm", "Q7259", PEOPLE) == Person("Q7259", "Anna Tamm", None)
    assert person_to_name("ANNA TAMM", "a2", PEOPLE) == PEOPLE["a2"]
    message = "a2 is anna  tamm, and naming a face does not change that: facestream people rename a2 'Anna Kask' does"
    with pytest.raises(UserError, match=message):
        person_to_name("Anna Kask", "a2", PEOPLE)


def test_people_are_found_by_what_begins_their_name_or_its_words() -> None:
    people = PEOPLE | {"t": Person("t", "Tamm", None), "o": Person("o", "Õie Tamme", None)}
    assert [person.label_id for person in find_people("tamm", people)] == ["t", "a1", "a2", "o"]
    assert [person.label_id for person in find_people("anna t", people)] == ["a1", "a2"]
    assert [person.label_id for person in find_people("hop gr", people)] == ["grace-hopper"]
    assert [person.label_id for person in find_people("amm", people)] == []
    assert len(find_people("", people, limit=3)) == 3


def test_another_person_of_a_known_name_gets_a_label_id_that_nobody_has() -> None:
    assert free_label_id("Grace Hopper", {}) == "grace-hopper"
    assert free_label_id("Grace Hopper", PEOPLE) == "grace-hopper-2"
    assert free_label_id("Grace Hopper", PEOPLE | {"grace-hopper-2": GRACE}) == "grace-hopper-3"


def test_letters_of_all_scripts_and_joiners_between_them_are_no_control_characters() -> None:
    for name in ("می\u200cخواهم", "क्\u200dष", "李小龍", "O’Brien-Ñandú", "Smith [née Jones]"):  # noqa: RUF001
        assert checked_text(name, "the name") == name


def test_a_name_that_several_people_have_is_refused_with_their_label_ids() -> None:
    with pytest.raises(UserError, match="2 people are called Anna Tamm: a1, a2; say which with --label"):
        person_to_name("Anna Tamm", None, PEOPLE)
    with pytest.raises(UserError, match="2 people are called Anna Tamm: give the label id instead, a1 or a2"):
        known_person("Anna Tamm", PEOPLE)
    assert known_person("a2", PEOPLE).label_id == "a2"


def test_a_label_id_that_another_person_has_is_not_given_to_a_new_one() -> None:
    with pytest.raises(UserError, match=r"the label id grace-hopper, which Grace-Hopper would have, is that of Grace"):
        person_to_name("Grace-Hopper", None, PEOPLE)


def test_a_person_who_was_never_named_is_unknown() -> None:
    with pytest.raises(UserError, match="nobody is called Eileen: facestream people lists who was named"):
        known_person("Eileen", PEOPLE)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "the name is empty"),
        (" \n\t", "the name is empty"),
        ("J\udce4rvi", "the name is not text in UTF-8: J.rvi"),
        ("Grace\x1b[31m", r"the name has a control character, U\+001B: leave it out"),
        ("Grace\u202eecarG", r"the name has a control character, U\+202E: leave it out"),
    ],
)
def test_unusable_text_is_refused(text: str, answer: str) -> None:
    with pytest.raises(UserError, match=answer):
        checked_text(text, "the name")


@pytest.mark.parametrize(
    ("name", "label_id", "answer"),
    [
        ("???", None, r"no label id can be made from the name \?\?\?: give one with --label"),
        ("x" * 1001, None, "a label id has at most 1000 bytes, this one has 1001"),
        ("Anna", "ä" * 501, "a label id has at most 1000 bytes, this one has 1002"),
        ("Anna", " ", "the label id is empty"),
    ],
)
def test_an_unusable_label_id_is_refused(name: str, label_id: str | None, answer: str) -> None:
    with pytest.raises(UserError, match=answer):
        person_to_name(name, label_id, PEOPLE)

"""Which person a typed name stands for."""

from __future__ import annotations

import pytest

from decisions.holding import Person
from decisions.people import known_person, normalize_spaces, person_to_name
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


def test_a_given_label_id_is_taken_as_it_is() -> None:
    assert person_to_name("Anna Tamm", "Q7259", PEOPLE) == Person("Q7259", "Anna Tamm", None)
    # A known person is called otherwise from now on.
    assert person_to_name("Anna Kask", "a2", PEOPLE) == Person("a2", "Anna Kask", None)


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
    [("", "the name is empty"), (" \n\t", "the name is empty"), ("J\udce4rvi", "the name is not text in UTF-8: J.rvi")],
)
def test_unusable_text_is_refused(text: str, answer: str) -> None:
    with pytest.raises(UserError, match=answer):
        normalize_spaces(text, "the name")


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

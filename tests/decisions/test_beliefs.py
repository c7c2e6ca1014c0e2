"""Whether what an author believed of a face or a person is still so."""

from __future__ import annotations

import pytest

from decisions.beliefs import Belief, DecidedMeanwhile, check_beliefs, face_belief, parse, person_belief
from errors import UserError
from schemas.decisions import Decision
from tests.builders.decisions import (
    decisions_from,
    linked,
    merged,
    named,
    not_a_face,
    not_sure,
    removed,
    renamed,
    undone,
)

BEFORE = (named(1, "f", "grace"), named(2, "g", "gracie"))


def refusal(belief: Belief, *meanwhile: Decision) -> DecidedMeanwhile:
    with pytest.raises(DecidedMeanwhile) as raised:
        check_beliefs(decisions_from(*BEFORE, *meanwhile), [belief], named(9, "f", "eileen", author="Bob"))
    return raised.value


@pytest.mark.parametrize(
    "meanwhile",
    [
        named(3, "f", "marie"),
        linked(3, "h", "f"),
        not_a_face(3, "f"),
        not_sure(3, "f", "grace"),
        undone(3, "001"),
        removed(3, "grace"),
    ],
)
def test_whatever_was_decided_about_the_face_meanwhile_is_held_beside_what_was_to_be(meanwhile: Decision) -> None:
    refused = refusal(face_belief(decisions_from(*BEFORE), "f"), meanwhile)
    assert (refused.other, refused.attempted.author) == (meanwhile, "Bob")
    assert (refused.other_text in str(refused), refused.attempted_text) == (True, "face f is Eileen")


def test_a_decision_about_another_face_or_the_name_of_the_person_changes_no_belief_about_a_face() -> None:
    belief = face_belief(decisions_from(*BEFORE), "f")
    since = (named(3, "g", "marie"), renamed(4, "grace", "Grace H."), merged(5, "marie", "grace"))
    check_beliefs(decisions_from(*BEFORE, *since), [belief], named(9, "f", "eileen"))


@pytest.mark.parametrize("meanwhile", [renamed(3, "grace", "G."), merged(3, "gracie", "grace"), removed(3, "grace")])
def test_a_person_is_believed_by_the_last_decision_about_them_alone(meanwhile: Decision) -> None:
    belief = person_belief(decisions_from(*BEFORE), "grace")
    assert refusal(belief, meanwhile).other == meanwhile
    check_beliefs(decisions_from(*BEFORE, named(3, "h", "grace")), [belief], named(9, "f", "eileen"))


def test_beliefs_are_read_from_json() -> None:
    face, person = face_belief(decisions_from(*BEFORE), "f"), person_belief(decisions_from(*BEFORE), "grace")
    assert parse([face.model_dump(), person.model_dump()]) == (face, person)
    with pytest.raises(UserError, match="not what is believed of a face or a person"):
        parse([{"face_id": "f"}])

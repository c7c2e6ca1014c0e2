"""What commands and pages ask for, and the decisions that are made of it."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest

from decisions.actions import (
    Link,
    Merge,
    Name,
    NotSureWhether,
    Reject,
    Remove,
    Rename,
    SayNotAFace,
    Separate,
    Undo,
    Unname,
    decision_of,
    parse,
)
from errors import UserError
from schemas.decisions import Decision, FaceNamed, NotSure
from tests.builders.clock import NOON
from tests.builders.decisions import decisions_from, merged, named

HELD = decisions_from(
    named(1, "f", "grace"), named(2, "g", "anna"), named(3, "h", "anna2", name="Anna"), merged(4, "grace", "g2")
)


def made(action: object) -> Decision:
    return decision_of(parse(action), HELD, " Ann  B. ", "a\tnote", NOON)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Name(face_id="x", label_id="grace"), "named"),
        (Unname(face_id="x"), "name-taken-back"),
        (Reject(face_id="x", label_id="grace"), "name-rejected"),
        (NotSureWhether(face_id="x", label_id="grace"), "not-sure"),
        (SayNotAFace(face_id="x"), "not-a-face"),
        (Link(face_id="x", other_face_id="y"), "linked"),
        (Separate(face_id="x", other_face_id="y"), "separated"),
        (Rename(label_id="grace", name="G."), "renamed"),
        (Merge(label_id="grace", other_label_id="anna"), "merged"),
        (Remove(label_id="grace"), "removed"),
        (Undo(decision_id="001"), "undone"),
    ],
)
def test_each_action_makes_a_decision_and_is_read_from_json(action: Name, kind: str) -> None:
    assert parse(action.model_dump()) == action
    decision = made(action.model_dump())
    assert (decision.kind, decision.author, decision.note, decision.decided_at) == (kind, "Ann B.", "a note", NOON)
    assert made(action.model_dump()).decision_id != decision.decision_id


def test_a_face_is_named_by_label_id_by_name_or_as_somebody_new() -> None:
    for action, person in (
        ({"label_id": "grace"}, ("grace", "Grace")),
        ({"label_id": "g2"}, ("grace", "Grace")),
        ({"name": "GRACE"}, ("grace", "Grace")),
        ({"name": unicodedata.normalize("NFD", "Õie Mägi")}, ("õie-mägi", "Õie Mägi")),
        ({"name": "Anna", "label_id": "anna3"}, ("anna3", "Anna")),
        ({"name": "Anna", "label_id": "anna2"}, ("anna2", "Anna")),
    ):
        decision = made({"action": "name", "face_id": "x", **action})
        assert isinstance(decision, FaceNamed)
        assert (decision.label_id, decision.name) == person


def test_who_is_not_sure_is_not_asked_for_thirty_days() -> None:
    decision = made({"action": "not-sure", "face_id": "x", "label_id": "grace"})
    assert isinstance(decision, NotSure)
    assert decision.until == NOON + timedelta(days=30)


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ({"action": "name", "face_id": "x"}, "a name or a label id is needed to name a face"),
        ({"action": "name", "face_id": "x", "label_id": "eve"}, "there is no person eve"),
        ({"action": "name", "face_id": "x", "name": "Anna"}, "2 people are called Anna"),
        ({"action": "name", "face_id": "x", "name": "Eve\x00"}, "the name has a control character"),
        ({"action": "name", "face_id": "x", "name": "Eve", "label_id": "grace"}, "grace is Grace, and naming"),
        ({"action": "rename", "label_id": "grace", "name": " "}, "the name is empty"),
        ({"action": "merge", "label_id": "grace", "other_label_id": "grace"}, "both are Grace"),
        ({"action": "link", "face_id": "x", "other_face_id": "x"}, "both are the face x"),
        ({"action": "remove", "label_id": "eve"}, "there is no person eve"),
        ({"action": "dance"}, "not an action that can be decided"),
        ({"action": "unname"}, "not an action that can be decided: face_id: Field required"),
        ({"action": "unname", "face_id": "x", "name": "y"}, "not an action that can be decided: name: Extra inputs"),
    ],
)
def test_what_no_decision_can_be_made_of_is_refused_in_one_line(action: object, answer: str) -> None:
    with pytest.raises(UserError, match=answer):
        made(action)

"""Who label ids stand for: merged, renamed and removed people, and what that does to faces."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from decisions.holding import Decisions, FaceLabels, Person
from schemas.decisions import Decision, NameRejected, PeopleMerged
from tests.builders.decisions import (
    a_decision,
    decisions_from,
    merged,
    named,
    not_a_face,
    removed,
    renamed,
    undone,
)


def people(decisions: Decisions) -> dict[str, tuple[str, str | None]]:
    return {label_id: (person.name, person.authority) for label_id, person in decisions.people().items()}


def rejected(minute: int, face_id: str, label_id: str) -> Decision:
    return a_decision(NameRejected, minute, face_id=face_id, label_id=label_id)


def test_merged_people_are_one_person_with_the_name_of_the_first_until_that_is_undone() -> None:
    held = decisions_from(named(1, "f", "grace"), named(2, "g", "gracie"), merged(3, "grace", "gracie"))
    assert people(held) == {"grace": ("Grace", None)}
    assert (held.labels("f").hard, held.labels("g").hard) == ("grace", "grace")
    assert held.person("gracie") == held.known_labels()["gracie"] == Person("grace", "Grace", None)
    assert held.apply([undone(4, "003")]) == {"g"}
    assert people(held) == {"grace": ("Grace", None), "gracie": ("Gracie", None)}
    assert held.labels("g").hard == "gracie"


def test_merges_of_merged_people_make_one_person_and_the_latest_says_which() -> None:
    names = [named(1, "f", "a"), named(2, "g", "b"), named(3, "h", "c")]
    held = decisions_from(*names, merged(4, "a", "b"), merged(5, "c", "b"))
    assert {held.labels(face).hard for face in "fgh"} == {"c"}
    # Two who decide at one moment that each is the other: the later one says what the person is called.
    held = decisions_from(*names, merged(4, "a", "b"), merged(5, "b", "a"))
    assert (held.labels("f").hard, list(people(held))) == ("a", ["a", "c"])


def test_a_renaming_counts_before_all_names_that_came_with_namings() -> None:
    held = decisions_from(named(1, "f", "grace"), renamed(2, "grace", "Grace Hopper"), named(3, "g", "grace"))
    assert people(held) == {"grace": ("Grace Hopper", None)}
    held.apply([renamed(4, "grace", "Amazing Grace"), undone(5, "004")])
    assert people(held) == {"grace": ("Grace Hopper", None)}
    held.apply([undone(6, "002")])
    assert people(held) == {"grace": ("Grace", None)}


def test_a_renaming_alone_makes_nobody() -> None:
    held = decisions_from(renamed(1, "grace", "Grace Hopper"), named(2, "f", "grace"))
    assert people(held) == {"grace": ("Grace Hopper", None)}
    held.apply([undone(3, "002")])
    assert people(held) == {}


def test_an_authority_is_kept_changed_and_removed() -> None:
    held = decisions_from(named(1, "f", "grace", authority="old"), renamed(2, "grace", "Grace"))
    assert people(held)["grace"][1] == "old"
    held.apply([renamed(3, "grace", "Grace", authority="new")])
    assert people(held)["grace"][1] == "new"
    held.apply([renamed(4, "grace", "Grace", authority="")])
    assert people(held)["grace"][1] is None


def test_a_removed_person_is_gone_with_all_names_and_rejections_until_that_is_undone() -> None:
    held = decisions_from(named(1, "f", "grace"), rejected(2, "g", "grace"), named(3, "h", "eileen"))
    assert held.apply([removed(4, "grace")]) == {"f", "g"}
    assert people(held) == {"eileen": ("Eileen", None)}
    assert held.labels("f") == held.labels("g") == FaceLabels()
    held.apply([undone(5, "004")])
    assert (held.labels("f").hard, held.labels("g").rejected) == ("grace", frozenset({"grace"}))


def test_the_name_before_that_of_a_removed_person_does_not_come_back() -> None:
    held = decisions_from(named(1, "f", "eileen"), named(2, "f", "grace"), removed(3, "grace"))
    assert held.labels("f").hard is None


def test_who_is_named_after_a_removal_is_somebody_new() -> None:
    held = decisions_from(named(1, "f", "grace"), renamed(2, "grace", "Grace Hopper"), removed(3, "grace"))
    held.apply([named(4, "g", "grace", name="Grace Kelly")])
    assert people(held) == {"grace": ("Grace Kelly", None)}
    assert (held.labels("f").hard, held.labels("g").hard) == (None, "grace")


def test_a_removal_ends_all_label_ids_of_the_person_and_their_merges() -> None:
    held = decisions_from(named(1, "f", "a"), named(2, "g", "b"), merged(3, "a", "b"), removed(4, "a"))
    assert (people(held), held.labels("g").hard) == ({}, None)
    assert [it.kind for it in held.history_of_person("b")] == ["merged", "removed"]
    held.apply([named(5, "h", "b")])
    assert people(held) == {"b": ("B", None)}


def test_what_is_not_a_face_has_no_label_and_a_naming_makes_it_one_again() -> None:
    held = decisions_from(named(1, "f", "grace"), rejected(2, "f", "eileen"), not_a_face(3, "f"))
    assert held.labels("f") == FaceLabels(None, frozenset({"eileen"}), not_a_face=True)
    assert decisions_from(not_a_face(1, "f"), named(2, "f", "grace")).labels("f") == FaceLabels("grace")
    held.apply([undone(4, "003")])
    assert held.labels("f").hard == "grace"


def test_a_person_cannot_be_merged_with_themselves() -> None:
    with pytest.raises(ValidationError, match="two different label ids are merged"):
        a_decision(PeopleMerged, 1, label_id="grace", other_label_id="grace")

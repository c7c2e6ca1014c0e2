"""Which decisions are refused, and which earlier decisions the message names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.conflicts import AlreadyHolds, ConflictError, check
from decisions.holding import Decisions
from schemas.decisions import Decision, NameRejected, NameTakenBack
from tests.builders.decisions import (
    a_decision,
    decisions_from,
    decisions_of_all_kinds,
    linked,
    merged,
    named,
    not_a_face,
    not_sure,
    removed,
    renamed,
    separated,
    undone,
)


def rejected(minute: int, face_id: str, label_id: str) -> Decision:
    return a_decision(NameRejected, minute, face_id=face_id, label_id=label_id)


def unnamed(minute: int, face_id: str) -> Decision:
    return a_decision(NameTakenBack, minute, face_id=face_id)


def conflict(decision: Decision, *earlier: Decision) -> str:
    """The message of a decision that is refused; the earlier ones stay as they are."""
    decisions = decisions_from(*earlier)
    with pytest.raises(ConflictError) as raised:
        check(decisions, decision)
    if len(decisions) != len(earlier):
        pytest.fail("a decision that was refused was kept")
    return str(raised.value)


def already(decision: Decision, *earlier: Decision) -> str:
    """The message of a decision that would change nothing."""
    with pytest.raises(AlreadyHolds) as raised:
        check(decisions_from(*earlier), decision)
    return str(raised.value)


def test_a_face_cannot_be_named_as_a_person_rejected_for_it() -> None:
    assert conflict(named(9, "f", "grace"), named(1, "g", "grace"), rejected(2, "f", "grace")) == (
        "that face f is Grace conflicts with what was decided before: face f is never Grace (Ann, 2026-01-02, "
        "decision 002); to take that back first: facestream undo 002"
    )


def test_the_name_that_a_face_has_cannot_be_rejected() -> None:
    message = conflict(rejected(9, "f", "grace"), named(1, "f", "grace"))
    assert message.startswith("that face f is never Grace conflicts with what was decided before: face f is Grace")
    assert message.endswith("facestream undo 001")


@pytest.mark.parametrize("one_face_first", [True, False])
def test_separated_faces_cannot_be_linked(one_face_first: bool) -> None:
    link = linked(9, "f", "g") if one_face_first else linked(9, "g", "f")
    assert "faces f and g are different people (Ann, 2026-01-02, decision 001)" in conflict(
        link, separated(1, "f", "g")
    )


def test_faces_separated_at_the_ends_of_a_chain_of_links_cannot_be_linked() -> None:
    assert conflict(linked(9, "b", "c"), linked(1, "a", "b"), linked(2, "c", "d"), separated(3, "a", "d")) == (
        "that faces b and c are one person conflicts with what was decided before: faces a and d are different people "
        "(Ann, 2026-01-02, decision 003) and faces a and b are one person (Ann, 2026-01-02, decision 001) and faces c "
        "and d are one person (Ann, 2026-01-02, decision 002); to take that back first: facestream undo 003 or "
        "facestream undo 001 or facestream undo 002"
    )


def test_linked_faces_cannot_be_separated_also_through_a_chain() -> None:
    assert "decision 001" in conflict(separated(9, "a", "b"), linked(1, "b", "a"))
    message = conflict(separated(9, "a", "c"), linked(1, "a", "b"), linked(2, "b", "c"))
    assert "facestream undo 001 or facestream undo 002" in message


def test_faces_of_two_names_cannot_be_linked_also_through_chains() -> None:
    names = [named(1, "f", "grace"), named(2, "g", "eileen")]
    assert "face f is Grace (Ann, 2026-01-02, decision 001) and face g is Eileen" in conflict(
        linked(9, "f", "g"), *names
    )
    message = conflict(linked(9, "h", "i"), *names, linked(3, "f", "h"), linked(4, "i", "g"))
    assert "decision 003" in message and "decision 004" in message


def test_a_face_cannot_be_named_differently_from_one_it_is_linked_with() -> None:
    message = conflict(named(9, "f", "eileen"), named(1, "h", "grace"), linked(2, "f", "g"), linked(3, "g", "h"))
    assert message.startswith("that face f is Eileen conflicts with what was decided before: face h is Grace (Ann")
    check(decisions_from(named(1, "h", "grace"), linked(2, "f", "h")), named(9, "f", "grace"))


def test_a_face_cannot_have_the_name_of_one_it_is_separated_from() -> None:
    message = conflict(named(9, "f", "grace"), named(1, "g", "grace"), separated(2, "f", "g"))
    assert message == (
        "that face f is Grace conflicts with what was decided before: faces f and g are different people (Ann, "
        "2026-01-02, decision 002) and face g is Grace (Ann, 2026-01-02, decision 001); to take that back first: "
        "facestream undo 002 or facestream undo 001"
    )
    through_links = [named(1, "h", "grace"), separated(2, "g", "f"), linked(3, "g", "h")]
    assert "decision 003" in conflict(named(9, "f", "grace"), *through_links)


def test_faces_of_one_name_cannot_be_separated() -> None:
    message = conflict(separated(9, "f", "g"), named(1, "f", "grace"), named(2, "g", "grace"))
    assert message.endswith("facestream undo 001 or facestream undo 002")


def test_a_name_rejected_for_a_face_is_rejected_for_those_linked_with_it() -> None:
    earlier = [rejected(1, "g", "grace"), linked(2, "f", "g")]
    assert "face g is never grace" in conflict(named(9, "f", "grace", name="grace"), *earlier)
    assert "decision 001" in conflict(linked(9, "f", "g"), named(1, "f", "grace"), rejected(2, "g", "grace"))
    assert "decision 002" in conflict(rejected(9, "g", "grace"), named(1, "f", "grace"), linked(2, "f", "g"))


def test_a_face_may_be_given_another_name_and_a_separated_one_too() -> None:
    check(decisions_from(named(1, "f", "grace")), named(9, "f", "eileen"))
    check(decisions_from(named(1, "f", "grace"), separated(2, "f", "g")), named(9, "g", "eileen"))
    check(decisions_from(rejected(1, "f", "grace"), named(2, "f", "eileen")), unnamed(9, "f"))


def test_what_holds_already_is_refused_with_the_decision_that_has_the_same_effect() -> None:
    assert already(named(9, "f", "grace"), named(1, "f", "grace")) == "face f is Grace (Ann, 2026-01-02, decision 001)"
    assert "decision 001" in already(rejected(9, "f", "grace"), rejected(1, "f", "grace"), rejected(2, "f", "eileen"))
    assert "decision 001" in already(linked(9, "g", "f"), linked(1, "f", "g"), linked(2, "f", "h"))
    assert "decision 001" in already(separated(9, "f", "g"), separated(1, "f", "g"))
    assert "decision 002" in already(unnamed(9, "f"), named(1, "f", "grace"), unnamed(2, "f"))
    assert already(unnamed(9, "f")) == "face f has no name"


def test_a_new_display_name_or_authority_is_no_repetition() -> None:
    before = decisions_from(named(1, "f", "grace"))
    check(before, named(9, "f", "grace", name="Grace Brewster Murray Hopper"))
    check(before, named(9, "f", "grace", authority="https://viaf.org/viaf/12345"))


def test_only_a_decision_that_is_there_and_holds_can_be_undone() -> None:
    assert conflict(undone(9, "001")) == "there is no decision 001"
    assert conflict(undone(9, "001"), named(1, "f", "grace"), undone(2, "001")) == (
        "that was undone before: decision 001 is undone (Ann, 2026-01-02, decision 002); "
        "to restore it: facestream undo 002"
    )
    check(decisions_from(named(1, "f", "grace")), undone(9, "001"))


def test_what_would_conflict_now_cannot_be_restored() -> None:
    assert conflict(undone(9, "002"), linked(1, "f", "g"), undone(2, "001"), separated(3, "f", "g")) == (
        "that faces f and g are one person, again, conflicts with what was decided before: faces f and g are "
        "different people (Ann, 2026-01-02, decision 003); to take that back first: facestream undo 003"
    )
    since = [named(3, "g", "eileen"), linked(4, "f", "g")]
    assert "decision 003" in conflict(undone(9, "002"), named(1, "f", "grace"), undone(2, "001"), *since)
    check(decisions_from(named(1, "f", "grace"), undone(2, "001"), named(3, "f", "grace")), undone(9, "002"))


def test_what_a_later_decision_would_keep_from_taking_effect_cannot_be_restored() -> None:
    earlier = [named(1, "f", "grace"), undone(2, "001"), named(3, "f", "eileen")]
    assert "face f is Eileen (Ann, 2026-01-02, decision 003)" in conflict(undone(9, "002"), *earlier)
    earlier = [rejected(1, "f", "grace"), undone(2, "001"), named(3, "f", "grace"), unnamed(4, "f")]
    assert "decision" in conflict(undone(9, "002"), *earlier)


def test_an_undo_cannot_uncover_what_conflicts_with_what_was_decided_since() -> None:
    earlier = [named(1, "f", "grace"), named(2, "f", "eileen"), named(3, "g", "eileen"), linked(4, "f", "g")]
    assert conflict(undone(9, "002"), *earlier).startswith(
        "undoing that face f is Eileen conflicts with what was decided before: face f is Grace (Ann, 2026-01-02, "
    )


def test_where_decisions_conflict_already_each_of_them_can_be_undone() -> None:
    # Two archivists decided at the same moment.
    decisions = decisions_from(
        named(1, "f", "grace"), named(2, "g", "eileen"), linked(3, "f", "g"), separated(4, "g", "h")
    )
    decisions.apply([linked(5, "h", "f"), named(6, "f", "grace", authority="https://viaf.org/viaf/12345")])
    for minute in range(1, 7):
        check(decisions, undone(9, f"00{minute}"))
    check(decisions, unnamed(9, "f"))


def test_an_undo_dated_before_what_it_undoes_changes_nothing_and_does_not_conflict() -> None:
    earlier = [separated(1, "f", "g"), linked(2, "f", "g")]
    check(decisions_from(*earlier), undone(0, "001"))


@given(st.lists(decisions_of_all_kinds, max_size=8, unique_by=lambda it: it.decision_id), decisions_of_all_kinds)
def test_checking_any_decision_after_any_others_ends_in_one_of_three_ways_and_leaves_no_trace(
    earlier: list[Decision], decision: Decision
) -> None:
    decisions, untouched = decisions_from(*earlier), decisions_from(*earlier)
    decision = decision.model_copy(update={"decision_id": "new"})
    decisions.people()
    try:
        check(decisions, decision)
    except (ConflictError, AlreadyHolds) as error:
        assert str(error)
    assert everything(decisions) == everything(untouched)


def everything(decisions: Decisions) -> list[object]:
    return [
        *((decisions.labels(it), decisions.linked(it), decisions.separated(it), decisions.history(it)) for it in "fgh"),
        dict(decisions.known_labels()),
    ]


def test_what_is_not_a_face_cannot_be_decided_to_be_anybody() -> None:
    for decision in (named(9, "f", "grace"), linked(9, "f", "g"), separated(9, "g", "f"), rejected(9, "f", "grace")):
        message = conflict(decision, not_a_face(1, "f"))
        assert message.endswith(
            "face f is not a face (Ann, 2026-01-02, decision 001); to take that back first: facestream undo 001"
        )
    assert conflict(not_sure(9, "f", "grace"), not_a_face(1, "f")).startswith("that face f may or may not be grace")
    assert already(not_a_face(9, "f"), not_a_face(1, "f")).endswith("decision 001)")


def test_a_face_with_a_name_or_a_link_cannot_be_decided_not_to_be_one() -> None:
    message = conflict(not_a_face(9, "f"), named(1, "f", "grace"), linked(2, "f", "g"))
    assert message.endswith("facestream undo 001 or facestream undo 002")
    check(decisions_from(rejected(1, "f", "grace"), separated(2, "f", "g")), not_a_face(9, "f"))


def test_who_has_decided_it_cannot_be_unsure() -> None:
    assert "decision 001" in conflict(not_sure(9, "f", "grace"), named(1, "f", "eileen"))
    assert "decision 001" in conflict(not_sure(9, "f", "grace"), rejected(1, "f", "grace"))
    check(decisions_from(rejected(1, "f", "grace"), not_sure(2, "f", "eileen")), not_sure(9, "f", "eileen"))
    check(decisions_from(not_sure(1, "f", "grace")), named(9, "f", "grace"))


def test_people_of_whom_a_face_is_one_and_never_the_other_cannot_be_merged() -> None:
    earlier = [named(1, "g", "gracie"), named(2, "f", "grace"), rejected(3, "f", "gracie")]
    for merge in (merged(9, "grace", "gracie"), merged(9, "gracie", "grace")):
        assert conflict(merge, *earlier).endswith("facestream undo 002 or facestream undo 003")
    # Also where the face was named after the rejection, which the naming would end if they were one person.
    since = [named(1, "g", "gracie"), rejected(2, "f", "gracie"), named(3, "f", "grace")]
    assert conflict(merged(9, "grace", "gracie"), *since).endswith("facestream undo 003 or facestream undo 002")


def test_people_with_faces_that_are_separated_cannot_be_merged() -> None:
    earlier = [named(1, "f", "grace"), named(2, "g", "gracie"), separated(3, "f", "g")]
    assert conflict(merged(9, "grace", "gracie"), *earlier) == (
        "that the person gracie is the same as grace conflicts with what was decided before: faces f and g are "
        "different people (Ann, 2026-01-02, decision 003) and face f is Grace (Ann, 2026-01-02, decision 001) and face "
        "g is Gracie (Ann, 2026-01-02, decision 002); to take that back first: facestream undo 003 or facestream undo "
        "001 or facestream undo 002"
    )


def test_a_merge_that_links_rely_on_cannot_be_undone() -> None:
    earlier = [named(1, "f", "a"), named(2, "g", "b"), merged(3, "a", "b"), linked(4, "f", "g")]
    message = conflict(undone(9, "003"), *earlier)
    assert message.startswith("undoing that the person b is the same as a conflicts")
    assert "facestream undo 004" in message


def test_a_removal_that_later_decisions_rely_on_cannot_be_undone() -> None:
    earlier = [named(1, "f", "a"), named(2, "g", "b"), removed(3, "a"), linked(4, "f", "g")]
    assert "facestream undo 004" in conflict(undone(9, "003"), *earlier)


def test_what_people_are_already_is_no_decision() -> None:
    names = [named(1, "f", "grace"), named(2, "g", "gracie")]
    assert already(renamed(9, "grace", "Grace H."), *names, renamed(3, "grace", "Grace H.")).endswith("decision 003)")
    assert already(renamed(9, "grace", "Grace"), *names) == "the person grace is called Grace"
    assert already(merged(9, "gracie", "grace"), *names, merged(3, "grace", "gracie")).endswith("decision 003)")
    assert already(named(9, "g", "grace"), *names, merged(3, "grace", "gracie")).endswith("decision 002)")
    assert already(removed(9, "grace"), *names, removed(3, "grace")).endswith("decision 003)")
    check(decisions_from(*names), renamed(9, "grace", "Grace", authority="https://viaf.org/viaf/1"))


def test_a_decision_that_a_removal_or_a_later_renaming_ended_cannot_be_restored() -> None:
    removal = [named(1, "f", "grace"), undone(2, "001"), named(3, "g", "grace"), removed(4, "grace")]
    assert conflict(undone(9, "002"), *removal).endswith("facestream undo 004")
    names = [named(1, "f", "grace"), renamed(2, "grace", "Gracie"), undone(3, "002"), renamed(4, "grace", "Gracia")]
    assert conflict(undone(9, "003"), *names).endswith("facestream undo 004")

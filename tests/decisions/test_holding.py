"""Which decisions hold, and that the order they are applied in does not matter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from decisions.holding import DecisionDeleted, Decisions, FaceLabels, Person
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
)
from tests.builders.decisions import a_decision, decisions_from, decisions_of_all_kinds, named, undone


def test_the_latest_name_of_a_face_wins_whatever_the_order_of_arrival() -> None:
    assert decisions_from(named(2, "f", "grace"), named(1, "f", "eileen")).labels("f").hard == "grace"


def test_of_two_names_given_at_one_moment_the_one_of_the_greater_decision_id_wins() -> None:
    held = decisions_from(named(1, "f", "grace", decision_id="b"), named(1, "f", "eileen", decision_id="a"))
    assert held.labels("f").hard == "grace"


def test_a_name_taken_back_no_longer_holds_and_an_undo_restores_it() -> None:
    decisions = [named(1, "f", "grace"), a_decision(NameTakenBack, 2, face_id="f")]
    assert decisions_from(*decisions).labels("f").hard is None
    assert decisions_from(*decisions, undone(3, "002")).labels("f").hard == "grace"


def test_an_undo_restores_the_effect_of_the_decision_before() -> None:
    held = decisions_from(named(1, "f", "grace"), named(2, "f", "eileen"), undone(3, "002"))
    assert held.labels("f").hard == "grace"


def test_an_undo_can_be_undone() -> None:
    held = decisions_from(named(1, "f", "grace"), undone(2, "001"), undone(3, "002"))
    assert held.labels("f").hard == "grace"
    held.apply([undone(4, "003")])
    assert held.labels("f").hard is None


def test_a_long_chain_of_undos_ends_like_a_short_one() -> None:
    chain = [undone(minute, f"{minute - 1:03}") for minute in range(2, 3000)]
    assert decisions_from(named(1, "f", "grace"), *chain).labels("f").hard == "grace"
    assert decisions_from(named(1, "f", "grace"), *chain[:-1]).labels("f").hard is None


def test_an_undo_dated_before_what_it_undoes_is_ignored() -> None:
    assert decisions_from(named(5, "f", "grace"), undone(1, "005")).labels("f").hard == "grace"


def test_of_two_undos_of_each_other_the_later_one_holds() -> None:
    held = decisions_from(
        a_decision(DecisionUndone, 1, decision_id="a", undone_decision_id="b"),
        a_decision(DecisionUndone, 2, decision_id="b", undone_decision_id="a"),
    )
    assert not held.holds(held.get("a"))  # type: ignore[arg-type]
    assert held.holds(held.get("b"))  # type: ignore[arg-type]


def test_a_rejection_ends_the_name_it_rejects_and_a_later_name_ends_the_rejection() -> None:
    decisions = [named(1, "f", "grace"), a_decision(NameRejected, 2, face_id="f", label_id="grace")]
    assert decisions_from(*decisions).labels("f") == FaceLabels(None, frozenset({"grace"}))
    assert decisions_from(*decisions, named(3, "f", "grace")).labels("f") == FaceLabels("grace")
    other = a_decision(NameRejected, 2, face_id="f", label_id="eileen")
    assert decisions_from(decisions[0], other).labels("f") == FaceLabels("grace", frozenset({"eileen"}))


def test_of_a_pair_the_last_decision_counts_whichever_face_comes_first() -> None:
    link = a_decision(FacesLinked, 1, face_id="f", other_face_id="g")
    apart = a_decision(FacesSeparated, 2, face_id="g", other_face_id="f")
    held = decisions_from(link, apart)
    assert (held.linked("f"), held.separated("f"), held.separated("g")) == ({}, {"g"}, {"f"})
    held.apply([undone(3, "002")])
    assert (held.linked("g"), held.separated("f")) == ({"f": link.order}, set())


def test_applying_decisions_returns_the_faces_that_may_have_changed() -> None:
    held = Decisions()
    assert held.apply([a_decision(FacesLinked, 1, face_id="f", other_face_id="g")]) == {"f", "g"}
    assert held.apply([undone(2, "001")]) == {"f", "g"}
    assert held.apply([undone(3, "not known yet")]) == set()
    assert held.apply([named(1, "h", "grace", decision_id="not known yet")]) == {"h"}
    assert held.labels("h").hard is None


def test_a_deleted_decision_has_no_effect() -> None:
    held = decisions_from(named(1, "f", "grace"), named(2, "f", "eileen"))
    assert held.apply([DecisionDeleted("002"), DecisionDeleted("unknown")]) == {"f"}
    assert held.labels("f").hard == "grace"
    assert len(held) == 1


def test_people_have_the_latest_name_and_the_latest_authority() -> None:
    held = decisions_from(
        named(1, "f", "grace", name="G. Hopper", authority="https://viaf.org/viaf/12345"),
        named(2, "g", "grace", name="Grace Hopper"),
        named(3, "h", "eileen", name="Eileen"),
        undone(4, "003"),
    )
    assert held.people() == {"grace": Person("grace", "Grace Hopper", "https://viaf.org/viaf/12345")}


def test_the_history_of_a_face_has_all_decisions_about_it_with_their_undos() -> None:
    decisions = [
        named(1, "f", "grace"),
        a_decision(FacesLinked, 2, face_id="g", other_face_id="f"),
        undone(3, "001"),
        undone(4, "003"),
    ]
    held = decisions_from(*reversed(decisions), named(5, "g", "eileen"))
    assert held.history("f") == decisions


@pytest.mark.parametrize("kind", [FacesLinked, FacesSeparated])
def test_a_face_cannot_be_in_a_pair_with_itself(kind: type[Decision]) -> None:
    with pytest.raises(ValidationError, match="two different faces"):
        a_decision(kind, 1, face_id="f", other_face_id="f")


@given(
    st.lists(decisions_of_all_kinds, max_size=8, unique_by=lambda it: it.decision_id),
    st.randoms(use_true_random=False),
)
def test_any_order_and_batches_of_the_same_decisions_yield_the_same(
    decisions: list[Decision], rng: random.Random
) -> None:
    at_once = decisions_from(*decisions)
    shuffled = list(decisions)
    rng.shuffle(shuffled)
    one_by_one = Decisions()
    for decision in shuffled:
        one_by_one.apply([decision])
        # Asked for in between, since who is known then is not computed again for each decision.
        one_by_one.people()
    for face_id in "fgh":
        assert one_by_one.labels(face_id) == at_once.labels(face_id)
        assert one_by_one.linked(face_id) == at_once.linked(face_id)
        assert one_by_one.separated(face_id) == at_once.separated(face_id)
        assert one_by_one.history(face_id) == at_once.history(face_id)
    assert one_by_one.people() == at_once.people()

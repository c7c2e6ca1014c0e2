"""What of archivists' decisions holds, and that their order of arrival does not matter."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from decisions.holding import DecisionDeleted, Decisions, FaceLabels, Person
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def said(kind: type[Decision], minute: int, **what: object) -> Decision:
    """A decision made at a minute; its id is that minute unless another is given."""
    made = {"decision_id": f"{minute:03}", "author": "Ann", "decided_at": NOON + timedelta(minutes=minute)}
    return kind.model_validate(made | what)


def named(minute: int, face_id: str, label_id: str, **what: object) -> Decision:
    return said(FaceNamed, minute, face_id=face_id, label_id=label_id, **({"name": label_id.title()} | what))


def undone(minute: int, decision_id: str) -> Decision:
    return said(DecisionUndone, minute, undone_decision_id=decision_id)


def taken(*decisions: Decision | DecisionDeleted) -> Decisions:
    held = Decisions()
    held.take(decisions)
    return held


def test_the_last_name_of_a_face_wins_by_its_time_not_by_its_arrival() -> None:
    assert taken(named(2, "f", "grace"), named(1, "f", "eileen")).labels("f").hard == "grace"


def test_of_two_names_given_at_one_moment_the_one_of_the_greater_decision_id_wins() -> None:
    held = taken(named(1, "f", "grace", decision_id="b"), named(1, "f", "eileen", decision_id="a"))
    assert held.labels("f").hard == "grace"


def test_a_name_taken_back_is_gone_and_an_undo_of_that_brings_it_back() -> None:
    decisions = [named(1, "f", "grace"), said(NameTakenBack, 2, face_id="f")]
    assert taken(*decisions).labels("f").hard is None
    assert taken(*decisions, undone(3, "002")).labels("f").hard == "grace"


def test_an_undo_uncovers_the_decision_before() -> None:
    held = taken(named(1, "f", "grace"), named(2, "f", "eileen"), undone(3, "002"))
    assert held.labels("f").hard == "grace"


def test_an_undo_can_be_undone() -> None:
    held = taken(named(1, "f", "grace"), undone(2, "001"), undone(3, "002"))
    assert held.labels("f").hard == "grace"
    held.take([undone(4, "003")])
    assert held.labels("f").hard is None


def test_a_long_chain_of_undos_ends_like_a_short_one() -> None:
    chain = [undone(minute, f"{minute - 1:03}") for minute in range(2, 3000)]
    assert taken(named(1, "f", "grace"), *chain).labels("f").hard == "grace"
    assert taken(named(1, "f", "grace"), *chain[:-1]).labels("f").hard is None


def test_an_undo_that_claims_to_be_earlier_than_what_it_undoes_is_none() -> None:
    assert taken(named(5, "f", "grace"), undone(1, "005")).labels("f").hard == "grace"


def test_two_undos_of_each_other_end() -> None:
    held = taken(
        said(DecisionUndone, 1, decision_id="a", undone_decision_id="b"),
        said(DecisionUndone, 2, decision_id="b", undone_decision_id="a"),
    )
    assert not held.holds(held.get("a"))  # type: ignore[arg-type]
    assert held.holds(held.get("b"))  # type: ignore[arg-type]


def test_a_rejection_ends_the_name_it_rejects_and_a_later_name_ends_the_rejection() -> None:
    decisions = [named(1, "f", "grace"), said(NameRejected, 2, face_id="f", label_id="grace")]
    assert taken(*decisions).labels("f") == FaceLabels(None, frozenset({"grace"}))
    assert taken(*decisions, named(3, "f", "grace")).labels("f") == FaceLabels("grace")
    other = said(NameRejected, 2, face_id="f", label_id="eileen")
    assert taken(decisions[0], other).labels("f") == FaceLabels("grace", frozenset({"eileen"}))


def test_of_a_pair_the_last_decision_counts_whichever_face_comes_first() -> None:
    link = said(FacesLinked, 1, face_id="f", other_face_id="g")
    apart = said(FacesSeparated, 2, face_id="g", other_face_id="f")
    held = taken(link, apart)
    assert (held.linked("f"), held.separated("f"), held.separated("g")) == ({}, {"g"}, {"f"})
    held.take([undone(3, "002")])
    assert (held.linked("g"), held.separated("f")) == ({"f": link.order}, set())


def test_taking_in_decisions_tells_the_faces_that_they_may_change() -> None:
    held = Decisions()
    assert held.take([said(FacesLinked, 1, face_id="f", other_face_id="g")]) == {"f", "g"}
    assert held.take([undone(2, "001")]) == {"f", "g"}
    assert held.take([undone(3, "not known yet")]) == set()
    assert held.take([named(1, "h", "grace", decision_id="not known yet")]) == {"h"}
    assert held.labels("h").hard is None


def test_a_forgotten_decision_was_never_made() -> None:
    held = taken(named(1, "f", "grace"), named(2, "f", "eileen"))
    assert held.take([DecisionDeleted("002"), DecisionDeleted("never heard of")]) == {"f"}
    assert held.labels("f").hard == "grace"
    assert len(held) == 1


def test_people_have_the_name_last_given_and_the_authority_last_said() -> None:
    held = taken(
        named(1, "f", "grace", name="G. Hopper", authority="https://viaf.org/viaf/12345"),
        named(2, "g", "grace", name="Grace Hopper"),
        named(3, "h", "eileen", name="Eileen"),
        undone(4, "003"),
    )
    assert held.people() == {"grace": Person("grace", "Grace Hopper", "https://viaf.org/viaf/12345")}


def test_the_history_of_a_face_has_everything_that_was_ever_decided_about_it_and_the_undos() -> None:
    decisions = [
        named(1, "f", "grace"),
        said(FacesLinked, 2, face_id="g", other_face_id="f"),
        undone(3, "001"),
        undone(4, "003"),
    ]
    held = taken(*reversed(decisions), named(5, "g", "eileen"))
    assert held.history("f") == decisions


@pytest.mark.parametrize("kind", [FacesLinked, FacesSeparated])
def test_a_face_cannot_be_in_a_pair_with_itself(kind: type[Decision]) -> None:
    with pytest.raises(ValidationError, match="two different faces"):
        said(kind, 1, face_id="f", other_face_id="f")


ids = st.sampled_from("abcdefgh")
faces = st.sampled_from("fgh")
people = st.sampled_from(["grace", "eileen"])
decisions_of_all_kinds = st.one_of(
    st.builds(named, st.integers(0, 5), faces, people, decision_id=ids),
    st.builds(lambda minute, face, one: said(NameTakenBack, minute, face_id=face, decision_id=one),
              st.integers(0, 5), faces, ids),
    st.builds(lambda minute, face, who, one: said(NameRejected, minute, face_id=face, label_id=who, decision_id=one),
              st.integers(0, 5), faces, people, ids),
    st.builds(lambda kind, minute, pair, one: said(kind, minute, face_id=pair[0], other_face_id=pair[1],
                                                   decision_id=one),
              st.sampled_from([FacesLinked, FacesSeparated]), st.integers(0, 5), st.sampled_from(["fg", "gh", "hf"]),
              ids),
    st.builds(lambda minute, one, other: said(DecisionUndone, minute, undone_decision_id=other, decision_id=one),
              st.integers(0, 5), ids, ids),
)  # fmt: skip


@given(
    st.lists(decisions_of_all_kinds, max_size=8, unique_by=lambda it: it.decision_id),
    st.randoms(use_true_random=False),
)
def test_any_order_and_batches_of_the_same_decisions_come_to_the_same(
    decisions: list[Decision], rng: random.Random
) -> None:
    at_once = taken(*decisions)
    shuffled = list(decisions)
    rng.shuffle(shuffled)
    one_by_one = Decisions()
    for decision in shuffled:
        one_by_one.take([decision])
    for face_id in "fgh":
        assert one_by_one.labels(face_id) == at_once.labels(face_id)
        assert one_by_one.linked(face_id) == at_once.linked(face_id)
        assert one_by_one.separated(face_id) == at_once.separated(face_id)
        assert one_by_one.history(face_id) == at_once.history(face_id)
    assert one_by_one.people() == at_once.people()

"""One decision among all: by the beginning of its id, and after those it was made with knowledge of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from decisions.lookup import find_decision, short_id, timed_after_known
from errors import UserError
from schemas.decisions import DecisionUndone
from tests.builders.decisions import decisions_from, linked, named, undone


def test_a_decision_is_found_by_the_beginning_of_its_id() -> None:
    decisions = decisions_from(named(1, "f", "grace", decision_id="abc1"), named(2, "f", "eileen", decision_id="abd2"))
    assert find_decision(decisions, "abc").decision_id == "abc1"
    with pytest.raises(UserError, match="'ab' is the beginning of more than one decision's id, abc1 and abd2 among"):
        find_decision(decisions, "ab")
    with pytest.raises(UserError, match="there is no decision 'x'"):
        find_decision(decisions, "x")
    decisions.apply([named(3, "f", "grace", decision_id="ab")])
    assert find_decision(decisions, "ab").decision_id == "ab"


def test_a_short_id_is_the_beginning_that_no_other_decision_has() -> None:
    ids = [f"1234567{end}" for end in ("80", "89", "9a")]
    decisions = decisions_from(*(named(4, "f", "grace", decision_id=decision_id) for decision_id in ["abc1", *ids]))
    assert short_id(decisions, "abc1") == "abc1"
    assert [short_id(decisions, decision_id) for decision_id in ids] == ["123456780", "123456789", "12345679"]


def test_a_decision_is_later_than_those_about_its_faces() -> None:
    earlier = named(50, "f", "grace")
    decisions = decisions_from(earlier, named(70, "another", "marie"))
    moved = timed_after_known(decisions, linked(1, "g", "f"))
    assert moved.decided_at == earlier.decided_at + timedelta(microseconds=1)
    assert moved.face_ids == ("g", "f")
    later = named(51, "f", "eileen")
    assert timed_after_known(decisions, later) == later


def test_an_undo_is_later_than_what_it_undoes() -> None:
    ahead = named(50, "f", "grace")
    decisions = decisions_from(ahead)
    moved = timed_after_known(decisions, undone(1, ahead.decision_id))
    assert moved.decided_at == ahead.decided_at + timedelta(microseconds=1)
    of_none = undone(1, "not there")
    assert timed_after_known(decisions, of_none) == of_none


def test_the_kind_of_an_undo_is_undone() -> None:
    assert DecisionUndone.type.split(".")[2] == undone(1, "x").kind == "undone"

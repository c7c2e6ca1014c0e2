"""Whose clock is ahead does not matter: what a writer publishes takes effect in the order of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decisions.conflicts import AlreadyHolds, ConflictError, check
from decisions.holding import Decisions
from decisions.lookup import timed_after_known
from schemas.decisions import Decision
from tests.builders.clock import NOON
from tests.builders.decisions import decisions_of_all_kinds, named, renamed

IDS = "abcdefgh"
Skewed = tuple[Decision, int]
"""A decision, and how many minutes the clock of its author is ahead."""


def decide(decisions: Decisions, decision: Decision) -> str:
    """As the writer does: after what is known, and checked. What came of it."""
    timed = timed_after_known(decisions, decision)
    try:
        check(decisions, timed)
    except (AlreadyHolds, ConflictError) as refused:
        return type(refused).__name__
    decisions.apply([timed])
    return "decided"


def what_holds(decisions: Decisions) -> object:
    return dict(decisions.known_labels()), {face_id: decisions.labels(face_id) for face_id in "fgh"}


# Never timed: the machine may be busy.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(decisions_of_all_kinds, st.sampled_from([0, 0, 60, -60, 600])), max_size=len(IDS)),
    st.permutations(IDS),
)
def test_what_holds_is_what_it_would_be_with_one_right_clock(drawn: list[Skewed], ids: Sequence[str]) -> None:
    skewed, right = Decisions(), Decisions()
    for number, ((decision, ahead), decision_id) in enumerate(zip(drawn, ids, strict=False)):
        made = decision.model_copy(update={"decision_id": decision_id})
        outcomes = {
            decide(decisions, made.model_copy(update={"decided_at": NOON + timedelta(minutes=minutes)}))
            for decisions, minutes in ((skewed, number + ahead), (right, number))
        }
        assert len(outcomes) == 1
        assert what_holds(skewed) == what_holds(right)


def test_a_person_is_renamed_also_where_the_clock_of_the_first_naming_was_ahead() -> None:
    decisions = Decisions()
    decide(decisions, named(600, "f", "grace", name="Grace Murray", authority="old"))
    decide(decisions, named(3, "g", "grace", name="Grace Brewster", authority="new"))
    person = decisions.person("grace")
    assert person is not None
    assert (person.name, person.authority) == ("Grace Brewster", "new")
    decide(decisions, renamed(1, "grace", "Grace Hopper"))
    person = decisions.person("grace")
    assert person is not None
    assert person.name == "Grace Hopper"

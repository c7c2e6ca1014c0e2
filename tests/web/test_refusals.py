"""Why something cannot be decided, as the desk words it in each language."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from decisions.actions import Merge, Name, Rename, decision_of
from decisions.conflicts import check
from decisions.holding import Decisions
from decisions.refusals import Reason, Refusal
from schemas.decisions import DecisionUndone, NameRejected
from tests.builders.clock import NOON
from tests.builders.decisions import a_decision, named
from web.refusals import worded
from web.strings import LANGUAGES, all_texts, words


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_a_text_in_every_language(reason: str) -> None:
    assert all(all_texts()[f"refusal-{reason}"])


def two_people() -> Decisions:
    held = Decisions()
    held.apply([named(1, "f1", "grace"), named(2, "f2", "ada")])
    return held


def refusal_of(attempt: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as raised:
        attempt()
    return raised.value


@pytest.mark.parametrize(
    ("action", "english", "estonian"),
    [
        (Name(face_id="f3", name=" "), "The name is empty.", "Nimi on tühi."),
        (Name(face_id="f3", label_id="x"), "There is no person x any more.", "Isikut x enam ei ole."),
        (Name(face_id="f3"), "Type a name, or choose a person.", "Kirjuta nimi või vali isik."),
        (Name(face_id="f3", name="!"), "No label id can be made from", "Nimest ! ei saa teha märgendi id-d"),
        (Name(face_id="f3", name="X", label_id="grace"), "grace is Grace", "grace on Grace"),
        (Merge(label_id="ada", other_label_id="ada"), "Both are Ada", "Mõlemad on Ada"),
        (Rename(label_id="ada", name="A", authority="\x00"), "The authority file has a control", "Normikirje sisaldab"),
    ],
)
def test_what_cannot_be_made_a_decision_of_is_worded(
    action: Name | Merge | Rename, english: str, estonian: str
) -> None:
    held = two_people()
    refusal = refusal_of(lambda: decision_of(action, held, "Ann", None, NOON))
    texts = [worded(refusal, held, words(language)) for language in LANGUAGES]
    assert [text[: len(start)] for text, start in zip(texts, (english, estonian), strict=True)] == [english, estonian]


def test_a_contradiction_is_worded_with_what_was_to_be_decided() -> None:
    held = two_people()
    refusal = refusal_of(lambda: check(held, a_decision(NameRejected, 3, face_id="f1", label_id="grace")))
    assert worded(refusal, held, words("et")) == (
        "„ei ole kunagi Grace“ on vastuolus sellega, mis on varem otsustatud."
    )


def test_what_was_undone_before_is_worded_with_the_undo() -> None:
    held = two_people()
    (naming,) = held.history("f1")
    undo = a_decision(DecisionUndone, 3, undone_decision_id=naming.decision_id)
    held.apply([undo])
    again = a_decision(DecisionUndone, 4, undone_decision_id=naming.decision_id)
    refusal = refusal_of(lambda: check(held, again))
    assert worded(refusal, held, words("et")) == "See on juba tagasi võetud: võtab tagasi: on Grace."
    gone = a_decision(DecisionUndone, 5, undone_decision_id="nothing")
    assert worded(refusal_of(lambda: check(held, gone)), held, words("et")) == "Seda otsust enam ei ole."

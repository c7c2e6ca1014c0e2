"""Decisions as lines of a history, in the language of the reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from decisions.holding import Decisions
from decisions.wording import describe
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
    NotAFace,
    NotSure,
    PeopleMerged,
    PersonRemoved,
    PersonRenamed,
)
from web.strings import Words


@dataclass(frozen=True)
class Entry:
    """A line of a history."""

    decision_id: str
    author: str
    decided_at: datetime
    note: str | None
    face_ids: Sequence[str]
    text: str
    holds: bool


def entries(decisions: Decisions, some: Iterable[Decision], t: Words) -> list[Entry]:
    """The lines for some of the decisions, in their order."""
    return [
        Entry(
            decision_id=decision.decision_id,
            author=decision.author,
            decided_at=decision.decided_at,
            note=decision.note,
            face_ids=decision.face_ids,
            text=clause(decisions, decision, t),
            holds=decisions.holds(decision),
        )
        for decision in some
    ]


def clause(decisions: Decisions, decision: Decision, t: Words) -> str:
    """What was decided, without the faces that it is about: "is Grace Hopper"."""

    def name(label_id: str) -> str:
        person = decisions.person(label_id)
        return person.name if person else label_id

    match decision:
        case FaceNamed():
            return t.text("is-somebody", name=decision.name)
        case NameTakenBack():
            return t.text("has-no-name")
        case NameRejected():
            return t.text("is-never", name=name(decision.label_id))
        case NotSure():
            return t.text("is-unsure", name=name(decision.label_id))
        case NotAFace():
            return t.text("is-not-a-face")
        case FacesLinked():
            return t.text("is-one-with")
        case FacesSeparated():
            return t.text("are-different")
        case PersonRenamed():
            return t.text("is-renamed", label_id=decision.label_id, name=decision.name)
        case PeopleMerged():
            return t.text("are-merged", name=name(decision.label_id), other=decision.other_label_id)
        case PersonRemoved():
            return t.text("is-removed", name=name(decision.label_id))
        case DecisionUndone():
            undone = decisions.get(decision.undone_decision_id)
            what = clause(decisions, undone, t) if undone else t.text("a-decision-gone")
            return t.text("undoes", what=what)
    return describe(decision, decisions.people())

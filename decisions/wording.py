"""Decisions as text for people. Pure.

Messages of the commands use these texts: "face 1a2b is Grace Hopper (Ann, 2026-01-02, decision 3c4d)".
"""

from __future__ import annotations

from collections.abc import Mapping

from decisions.identities import Person
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


def describe(decision: Decision, people: Mapping[str, Person]) -> str:
    """A decision as a clause without its author: "face 1a2b is Grace Hopper".

    `people`, by label id, give the names where the decision has label ids alone; without a name, the text has the label
    id. Raises TypeError for a kind of decision that has no text.
    """

    def name(label_id: str) -> str:
        return people[label_id].name if label_id in people else label_id

    match decision:
        case FaceNamed():
            return f"face {decision.face_id} is {decision.name}"
        case NameTakenBack():
            return f"face {decision.face_id} has no name"
        case NameRejected():
            return f"face {decision.face_id} is never {name(decision.label_id)}"
        case NotSure():
            return f"face {decision.face_id} may or may not be {name(decision.label_id)}"
        case NotAFace():
            return f"face {decision.face_id} is not a face"
        case FacesLinked():
            return f"faces {decision.face_id} and {decision.other_face_id} are one person"
        case FacesSeparated():
            return f"faces {decision.face_id} and {decision.other_face_id} are different people"
        case PersonRenamed():
            authority = "" if decision.authority is None else f", with the authority {decision.authority or 'removed'}"
            return f"the person {decision.label_id} is called {decision.name}{authority}"
        case PersonRemoved():
            return f"the person {decision.label_id} is removed"
        case PeopleMerged():
            return f"the person {decision.other_label_id} is the same as {decision.label_id}"
        case DecisionUndone():
            return f"decision {decision.undone_decision_id} is undone"
    raise TypeError(f"no text for a {type(decision).__name__}")


def describe_for_face(face_id: str, decision: Decision, people: Mapping[str, Person]) -> str:
    """The same without the face, for a list about that face: "is Grace Hopper", "is one person with 3c4d"."""
    match decision:
        case FacesLinked() | FacesSeparated():
            (other,) = set(decision.face_ids) - {face_id}
            return predicate(decision.kind, None, other)
        case DecisionUndone():
            return describe(decision, people)
    return describe(decision, people).removeprefix(f"face {face_id} ")


def predicate(kind: str, name: str | None, other_face_id: str | None) -> str:
    """The same from single fields, as a row of the catalogue has them: the kind, and the name or the other face.

    Raises KeyError for a kind that is not about faces.
    """
    return {
        "named": f"is {name}",
        "name-taken-back": "has no name",
        "name-rejected": f"is never {name}",
        "not-sure": f"may or may not be {name}",
        "not-a-face": "is not a face",
        "linked": f"is one person with {other_face_id}",
        "separated": f"is somebody else than {other_face_id}",
    }[kind]


def cite(decision: Decision, people: Mapping[str, Person]) -> str:
    """`describe` with the author, the date and the decision's id in brackets."""
    source = f"{decision.author}, {decision.decided_at:%Y-%m-%d}, decision {decision.decision_id}"
    return f"{describe(decision, people)} ({source})"

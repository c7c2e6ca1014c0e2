"""Decisions as text for people. Pure.

Messages of the commands use these texts: "face 1a2b is Grace Hopper (Ann, 2026-01-02, decision 3c4d)".
"""

from __future__ import annotations

from collections.abc import Mapping

from decisions.holding import Person
from schemas.decisions import (
    Decision,
    DecisionUndone,
    FaceNamed,
    FacesLinked,
    FacesSeparated,
    NameRejected,
    NameTakenBack,
)


def describe(decision: Decision, people: Mapping[str, Person]) -> str:
    """A decision as a clause without its author: "face 1a2b is Grace Hopper".

    `people`, by label id, give the name of a rejected label; without one, the text has the label id. Raises TypeError
    for a kind of decision that has no text.
    """
    match decision:
        case FaceNamed():
            return f"face {decision.face_id} is {decision.name}"
        case NameTakenBack():
            return f"face {decision.face_id} has no name"
        case NameRejected():
            person = people.get(decision.label_id)
            return f"face {decision.face_id} is never {person.name if person else decision.label_id}"
        case FacesLinked():
            return f"faces {decision.face_id} and {decision.other_face_id} are one person"
        case FacesSeparated():
            return f"faces {decision.face_id} and {decision.other_face_id} are different people"
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
        "linked": f"is one person with {other_face_id}",
        "separated": f"is somebody else than {other_face_id}",
    }[kind]


def cite(decision: Decision, people: Mapping[str, Person]) -> str:
    """`describe` with the author, the date and the decision's id in brackets."""
    source = f"{decision.author}, {decision.decided_at:%Y-%m-%d}, decision {decision.decision_id}"
    return f"{describe(decision, people)} ({source})"

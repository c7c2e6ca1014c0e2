"""Decisions in the words of people. Pure."""

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


def told(decision: Decision, people: Mapping[str, Person]) -> str:
    """What was decided, as a clause without its author: "face 1a2b is Grace Hopper"."""
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
    raise TypeError(f"{type(decision).__name__} has no words")


def describe_for_face(face_id: str, decision: Decision, people: Mapping[str, Person]) -> str:
    """The same of a face that is known from elsewhere: "is Grace Hopper", "is one person with 3c4d"."""
    match decision:
        case FacesLinked() | FacesSeparated():
            (other,) = set(decision.face_ids) - {face_id}
            return clause(decision.kind, None, other)
        case DecisionUndone():
            return told(decision, people)
    return told(decision, people).removeprefix(f"face {face_id} ")


def clause(kind: str, name: str | None, other: str | None) -> str:
    """What a decision of this kind says of one face, with the person's name or the other face."""
    return {
        "named": f"is {name}",
        "name-taken-back": "has no name",
        "name-rejected": f"is never {name}",
        "linked": f"is one person with {other}",
        "separated": f"is somebody else than {other}",
    }[kind]


def cited(decision: Decision, people: Mapping[str, Person]) -> str:
    """The same with who decided it and when, and its id."""
    return (
        f"{told(decision, people)} ({decision.author}, {decision.decided_at:%Y-%m-%d}, decision {decision.decision_id})"
    )

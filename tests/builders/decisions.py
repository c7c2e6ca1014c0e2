"""Decisions of archivists, one by one, drawn by chance, and what they come to together."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from decisions.holding import DecisionDeleted, Decisions
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
from tests.builders.clock import NOON


def a_decision(kind: type[Decision], minute: int, **what: object) -> Decision:
    """A decision made so many minutes after noon; its id is that minute unless another is given."""
    made = {"decision_id": f"{minute:03}", "author": "Ann", "decided_at": NOON + timedelta(minutes=minute)}
    return kind.model_validate(made | what)


def named(minute: int, face_id: str, label_id: str, **what: object) -> Decision:
    """The decision that a face is of a person."""
    return a_decision(FaceNamed, minute, face_id=face_id, label_id=label_id, **({"name": label_id.title()} | what))


def linked(minute: int, one: str, other: str) -> Decision:
    """The decision that two faces are of one person."""
    return a_decision(FacesLinked, minute, face_id=one, other_face_id=other)


def separated(minute: int, one: str, other: str) -> Decision:
    """The decision that two faces are of different people."""
    return a_decision(FacesSeparated, minute, face_id=one, other_face_id=other)


def not_a_face(minute: int, face_id: str, **what: object) -> Decision:
    """The decision that a face is none."""
    return a_decision(NotAFace, minute, face_id=face_id, **what)


def merged(minute: int, label_id: str, other_label_id: str, **what: object) -> Decision:
    """The decision that two label ids are one person, called as the first."""
    return a_decision(PeopleMerged, minute, label_id=label_id, other_label_id=other_label_id, **what)


def renamed(minute: int, label_id: str, name: str, **what: object) -> Decision:
    """The decision what a person is called."""
    return a_decision(PersonRenamed, minute, label_id=label_id, name=name, **what)


def removed(minute: int, label_id: str, **what: object) -> Decision:
    """The decision that there is no such person."""
    return a_decision(PersonRemoved, minute, label_id=label_id, **what)


def not_sure(minute: int, face_id: str, label_id: str, days: int = 30, **what: object) -> Decision:
    """The decision that a face may or may not be a person, and is not proposed for them for so many days."""
    until = NOON + timedelta(minutes=minute, days=days)
    return a_decision(NotSure, minute, face_id=face_id, label_id=label_id, until=until, **what)


def undone(minute: int, decision_id: str) -> Decision:
    """The decision that an earlier one does not hold."""
    return a_decision(DecisionUndone, minute, undone_decision_id=decision_id)


def decisions_from(*decisions: Decision | DecisionDeleted) -> Decisions:
    """All of these, as the library holds them."""
    held = Decisions()
    held.apply(decisions)
    return held


_ids = st.sampled_from("abcdefgh")
_faces = st.sampled_from("fgh")
_people = st.sampled_from(["grace", "eileen", "marie"])
_two_people = st.sampled_from([("grace", "eileen"), ("eileen", "grace"), ("marie", "grace"), ("eileen", "marie")])
decisions_of_all_kinds = st.one_of(
    st.builds(named, st.integers(0, 5), _faces, _people, decision_id=_ids, name=st.sampled_from(["Anna", "Bea"]),
              authority=st.sampled_from([None, "uri"])),
    st.builds(lambda minute, face, one: a_decision(NameTakenBack, minute, face_id=face, decision_id=one),
              st.integers(0, 5), _faces, _ids),
    st.builds(lambda minute, face, who, one: a_decision(NameRejected, minute, face_id=face, label_id=who,
                                                        decision_id=one),
              st.integers(0, 5), _faces, _people, _ids),
    st.builds(lambda kind, minute, pair, one: a_decision(kind, minute, face_id=pair[0], other_face_id=pair[1],
                                                         decision_id=one),
              st.sampled_from([FacesLinked, FacesSeparated]), st.integers(0, 5), st.sampled_from(["fg", "gh", "hf"]),
              _ids),
    st.builds(lambda minute, face, one: not_a_face(minute, face, decision_id=one), st.integers(0, 5), _faces, _ids),
    st.builds(lambda minute, face, who, days, one: not_sure(minute, face, who, days, decision_id=one),
              st.integers(0, 5), _faces, _people, st.sampled_from([-1, 36_500]), _ids),
    st.builds(lambda minute, two, one: merged(minute, *two, decision_id=one), st.integers(0, 5), _two_people, _ids),
    st.builds(lambda minute, who, name, link, one: renamed(minute, who, name, authority=link, decision_id=one),
              st.integers(0, 5), _people, st.sampled_from(["Anna", "Bea"]), st.sampled_from([None, "", "uri"]), _ids),
    st.builds(lambda minute, who, one: removed(minute, who, decision_id=one), st.integers(0, 5), _people, _ids),
    st.builds(lambda minute, one, other: a_decision(DecisionUndone, minute, undone_decision_id=other, decision_id=one),
              st.integers(0, 5), _ids, _ids),
)  # fmt: skip
"""Of the faces f, g and h and three people; of the ids a to h, so that undos meet what they undo."""

"""The `labels` topic: what archivists decided. Never derived, never lost; an undo is a decision too."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Event, Time


class Decision(Event):
    """Who decided, when, and why if they said so."""

    decision_id: str
    author: str = Field(min_length=1)
    decided_at: Time
    note: str | None = None

    @property
    def key(self) -> str:
        """The decision's id: one record a decision."""
        return self.decision_id


class FaceNamed(Decision):
    """This face is this person. `label_id` identifies the person, `name` is what people read."""

    type: ClassVar[str] = "facestream.face.named.v1"

    face_id: str
    label_id: str
    name: str = Field(min_length=1)
    authority: str | None = None


class NameTakenBack(Decision):
    """This face has no name any more."""

    type: ClassVar[str] = "facestream.face.name-taken-back.v1"

    face_id: str


class NameRejected(Decision):
    """This face is never this person."""

    type: ClassVar[str] = "facestream.face.name-rejected.v1"

    face_id: str
    label_id: str


class FacesLinked(Decision):
    """These two faces are one person."""

    type: ClassVar[str] = "facestream.faces.linked.v1"

    face_id: str
    other_face_id: str


class FacesSeparated(Decision):
    """These two faces are different people."""

    type: ClassVar[str] = "facestream.faces.separated.v1"

    face_id: str
    other_face_id: str


class DecisionUndone(Decision):
    """An earlier decision no longer holds."""

    type: ClassVar[str] = "facestream.decision.undone.v1"

    undone_decision_id: str

"""The `labels` topic: what archivists decided. Never derived, never lost; an undo is a decision too.

What holds is a function of the set of decisions, whatever order they were read in (`decisions.holding`): of those
about one face, or about one pair of faces, a later one (`decided_at`, then `decision_id`) wins over an earlier one.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import Event, Time


class Decision(Event):
    """Who decided, when, and why if they said so."""

    decision_id: str = Field(min_length=1)
    author: str = Field(min_length=1)
    decided_at: Time
    note: str | None = None

    @property
    def key(self) -> str:
        """The decision's id: one record a decision."""
        return self.decision_id

    @property
    def kind(self) -> str:
        """The word for it in its type: named, name-taken-back, name-rejected, linked, separated or undone."""
        return self.type.split(".")[2]

    @property
    def order(self) -> tuple[datetime, str]:
        """Decisions are compared by their time, then their id."""
        return self.decided_at, self.decision_id

    @property
    def face_ids(self) -> tuple[str, ...]:
        """The faces it is about; none for an undo, which is about a decision."""
        return ()


class FaceDecision(Decision):
    """A decision about one face."""

    face_id: str = Field(min_length=1)

    @property
    def face_ids(self) -> tuple[str, ...]:
        """That face."""
        return (self.face_id,)


class FaceNamed(FaceDecision):
    """This face is this person. `label_id` identifies the person, `name` is what people read.

    `authority` is the person's URI in an authority file, such as VIAF or Wikidata.
    """

    type: ClassVar[str] = "facestream.face.named.v1"

    label_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    authority: str | None = None


class NameTakenBack(FaceDecision):
    """This face has no name any more."""

    type: ClassVar[str] = "facestream.face.name-taken-back.v1"


class NameRejected(FaceDecision):
    """This face is never this person."""

    type: ClassVar[str] = "facestream.face.name-rejected.v1"

    label_id: str = Field(min_length=1)


class PairDecision(Decision):
    """A decision about two different faces; which of them is named first means nothing."""

    face_id: str = Field(min_length=1)
    other_face_id: str = Field(min_length=1)

    @model_validator(mode="after")
    def _faces_are_two(self) -> Self:
        if self.face_id == self.other_face_id:
            raise ValueError("a pair is of two different faces")
        return self

    @property
    def face_ids(self) -> tuple[str, ...]:
        """Both faces."""
        return self.face_id, self.other_face_id


class FacesLinked(PairDecision):
    """These two faces are one person."""

    type: ClassVar[str] = "facestream.faces.linked.v1"


class FacesSeparated(PairDecision):
    """These two faces are different people."""

    type: ClassVar[str] = "facestream.faces.separated.v1"


class DecisionUndone(Decision):
    """An earlier decision no longer holds. An undo may be undone like any other decision."""

    type: ClassVar[str] = "facestream.decision.undone.v1"

    undone_decision_id: str = Field(min_length=1)

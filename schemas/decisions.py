"""The `labels` topic: archivists' decisions. They are never derived from other data; an undo is a decision too.

Which decisions hold is a function of their set, whatever the order they are read in (`decisions.holding`). Of several
decisions about one face, or about one pair of faces, the latest (`decided_at`, then `decision_id`) takes effect.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import Event, Time


class Decision(Event):
    """A decision: its author, its time, and a note with the reason, if the author gave one."""

    decision_id: str = Field(min_length=1)
    author: str = Field(min_length=1)
    decided_at: Time
    note: str | None = None

    @property
    def key(self) -> str:
        """The decision's id: each decision is a record of its own."""
        return self.decision_id

    @property
    def kind(self) -> str:
        """The decision's kind, as in its type: named, name-taken-back, name-rejected, linked, separated or undone."""
        return self.type.split(".")[2]

    @property
    def order(self) -> tuple[datetime, str]:
        """What decisions are ordered by: their time, then their id."""
        return self.decided_at, self.decision_id

    @property
    def face_ids(self) -> tuple[str, ...]:
        """The faces that the decision is about; none for an undo, which is about another decision."""
        return ()


class FaceDecision(Decision):
    """A decision about one face."""

    face_id: str = Field(min_length=1)

    @property
    def face_ids(self) -> tuple[str, ...]:
        """The one face."""
        return (self.face_id,)


class FaceNamed(FaceDecision):
    """This face is this person.

    label_id: identifies the person. name: for display. authority: the person's URI in an authority file, such as VIAF
    or Wikidata.
    """

    type: ClassVar[str] = "facestream.face.named.v1"

    label_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    authority: str | None = None


class NameTakenBack(FaceDecision):
    """This face no longer has a name."""

    type: ClassVar[str] = "facestream.face.name-taken-back.v1"


class NameRejected(FaceDecision):
    """This face is never this person."""

    type: ClassVar[str] = "facestream.face.name-rejected.v1"

    label_id: str = Field(min_length=1)


class PairDecision(Decision):
    """A decision about two different faces, in any order."""

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

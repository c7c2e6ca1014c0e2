"""The `labels` topic: archivists' decisions. They are never derived from other data; an undo is a decision too.

Which decisions hold is a function of their set, whatever the order they are read in (`decisions.holding`). Of several
decisions about one face, or about one pair of faces, the latest (`decided_at`, then `decision_id`) takes effect.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import Event, Id, NewId, Text, Time


class Decision(Event):
    """A decision: its author, its time, and a note with the reason, if the author gave one."""

    decision_id: NewId
    author: Text = Field(min_length=1)
    decided_at: Time
    note: Text | None = None

    @property
    def key(self) -> str:
        """The decision's id: each decision is a record of its own."""
        return self.decision_id

    @property
    def kind(self) -> str:
        """The decision's kind, as in its type: named, not-a-face, linked, merged, undone and so on."""
        return self.type.split(".")[2]

    @property
    def order(self) -> tuple[datetime, str]:
        """What decisions are ordered by: their time, then their id."""
        return self.decided_at, self.decision_id

    @property
    def face_ids(self) -> tuple[str, ...]:
        """The faces that the decision is about; none for one about people, or about another decision."""
        return ()

    @property
    def label_ids(self) -> tuple[str, ...]:
        """The people that the decision is about, as well as about faces or alone."""
        return ()


class FaceDecision(Decision):
    """A decision about one face."""

    face_id: Id

    @property
    def face_ids(self) -> tuple[str, ...]:
        """The one face."""
        return (self.face_id,)


class _FaceAndPerson(FaceDecision):
    """A decision about one face and one person. label_id: identifies the person."""

    label_id: Id

    @property
    def label_ids(self) -> tuple[str, ...]:
        """The one person."""
        return (self.label_id,)


class FaceNamed(_FaceAndPerson):
    """This face is this person.

    name: for display. authority: the person's URI in an authority file, such as VIAF or Wikidata.
    """

    type: ClassVar[str] = "facestream.face.named.v1"

    name: Text = Field(min_length=1)
    authority: Text | None = None


class NameTakenBack(FaceDecision):
    """This face no longer has a name."""

    type: ClassVar[str] = "facestream.face.name-taken-back.v1"


class NameRejected(_FaceAndPerson):
    """This face is never this person."""

    type: ClassVar[str] = "facestream.face.name-rejected.v1"


class NotSure(_FaceAndPerson):
    """Whether this face is this person could not be decided. It is not asked again before `until`."""

    type: ClassVar[str] = "facestream.face.not-sure.v1"

    until: Time


class NotAFace(FaceDecision):
    """What was found there is no face, or none that anybody is to be found by: a pattern, a statue, a drawing."""

    type: ClassVar[str] = "facestream.face.not-a-face.v1"


class PairDecision(Decision):
    """A decision about two different faces, in any order."""

    face_id: Id
    other_face_id: Id

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


class PersonDecision(Decision):
    """A decision about a person, without any face."""

    label_id: Id

    @property
    def label_ids(self) -> tuple[str, ...]:
        """The one person."""
        return (self.label_id,)


class PersonRenamed(PersonDecision):
    """This person is called so from now on, whatever name came with the namings of faces.

    authority: the person's URI in an authority file from now on; an empty one is none, None leaves it as it was.
    """

    type: ClassVar[str] = "facestream.person.renamed.v1"

    name: Text = Field(min_length=1)
    authority: Text | None = None


class PersonRemoved(PersonDecision):
    """There is no such person: what was decided about them earlier counts no more."""

    type: ClassVar[str] = "facestream.person.removed.v1"


class PeopleMerged(PersonDecision):
    """Two label ids are one person. The label id and the name of the person are those of `label_id`."""

    type: ClassVar[str] = "facestream.people.merged.v1"

    other_label_id: Id

    @model_validator(mode="after")
    def _people_are_two(self) -> Self:
        if self.label_id == self.other_label_id:
            raise ValueError("two different label ids are merged")
        return self

    @property
    def label_ids(self) -> tuple[str, ...]:
        """Both people."""
        return self.label_id, self.other_label_id


class DecisionUndone(Decision):
    """An earlier decision no longer holds. An undo may be undone like any other decision."""

    type: ClassVar[str] = "facestream.decision.undone.v1"

    undone_decision_id: Id

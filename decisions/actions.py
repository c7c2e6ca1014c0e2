"""What can be decided, as a command or a page asks for it, and the decision that is made of it. Pure.

An action has whole ids. Whether its face exists is for the caller to know; whether its people do is checked here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from decisions.holding import Decisions, Person
from decisions.people import checked_text, optional_text, person_to_name
from decisions.refusals import Refusal
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

NOT_ASKED_FOR = timedelta(days=30)
"""How long a face is not proposed for a person after somebody was not sure whether it is them."""


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def subjects(self) -> set[str]:
        """The ids of the faces and people that it names."""
        fields = ("face_id", "other_face_id", "label_id", "other_label_id")
        return {value for field in fields if (value := getattr(self, field, None)) is not None}


class Name(_Action):
    """Name a face: as the person `label_id`, or as the one person called `name`, or as a new one of this name.

    With both, the person has this label id, and is new where nobody has it. authority: their URI in an authority file.
    """

    action: Literal["name"] = "name"
    face_id: str
    label_id: str | None = None
    name: str | None = None
    authority: str | None = None


class Unname(_Action):
    """Remove the name of a face."""

    action: Literal["unname"] = "unname"
    face_id: str


class Reject(_Action):
    """A face is never this person."""

    action: Literal["reject"] = "reject"
    face_id: str
    label_id: str


class NotSureWhether(_Action):
    """It cannot be decided now whether a face is this person. It is not asked for `NOT_ASKED_FOR`."""

    action: Literal["not-sure"] = "not-sure"
    face_id: str
    label_id: str


class SayNotAFace(_Action):
    """What was found is not a face."""

    action: Literal["not-a-face"] = "not-a-face"
    face_id: str


class Link(_Action):
    """Two faces are one person."""

    action: Literal["link"] = "link"
    face_id: str
    other_face_id: str


class Separate(_Action):
    """Two faces are different people."""

    action: Literal["separate"] = "separate"
    face_id: str
    other_face_id: str


class Rename(_Action):
    """A person is called so from now on. authority: their URI in an authority file; "" removes it."""

    action: Literal["rename"] = "rename"
    label_id: str
    name: str
    authority: str | None = None


class Merge(_Action):
    """Two label ids are one person, who keeps the name and the label id of `label_id`."""

    action: Literal["merge"] = "merge"
    label_id: str
    other_label_id: str


class Remove(_Action):
    """There is no such person: their faces have no name any more."""

    action: Literal["remove"] = "remove"
    label_id: str


class Undo(_Action):
    """A decision holds no more. The undo of an undo restores the decision."""

    action: Literal["undo"] = "undo"
    decision_id: str


Action = Name | Unname | Reject | NotSureWhether | SayNotAFace | Link | Separate | Rename | Merge | Remove | Undo

_PARSER: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])


def parse(value: Any) -> Action:  # noqa: ANN401 - JSON
    """The action that a JSON object describes. Raises Refusal."""
    try:
        return _PARSER.validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"][1:])
        text = f"not an action that can be decided: {where + ': ' * bool(where)}{problem['msg']}"
        raise Refusal(text, "wrong-page") from error


def decision_of(action: Action, decisions: Decisions, author: str, note: str | None, time: datetime) -> Decision:
    """The decision that an action makes, with a new id. It is not checked against the others yet.

    Raises Refusal where the author, the note or a name is empty or has control characters, where a person is unknown,
    where several have the name, and where a naming has another name than the known person of its label id.
    """
    common: dict[str, Any] = {
        "decision_id": uuid4().hex,
        "author": checked_text(author, "the author"),
        "decided_at": time,
        "note": optional_text(note, "the note"),
    }
    match action:
        case Name():
            person = _named(action, decisions)
            authority = optional_text(action.authority, "the authority")
            return FaceNamed(
                **common, face_id=action.face_id, label_id=person.label_id, name=person.name, authority=authority
            )
        case Unname():
            return NameTakenBack(**common, face_id=action.face_id)
        case Reject():
            return NameRejected(**common, face_id=action.face_id, label_id=_known(decisions, action.label_id).label_id)
        case NotSureWhether():
            person = _known(decisions, action.label_id)
            return NotSure(**common, face_id=action.face_id, label_id=person.label_id, until=time + NOT_ASKED_FOR)
        case SayNotAFace():
            return NotAFace(**common, face_id=action.face_id)
        case Link():
            return FacesLinked(**common, **_pair(action))
        case Separate():
            return FacesSeparated(**common, **_pair(action))
        case Rename():
            person = _known(decisions, action.label_id)
            authority = action.authority and optional_text(action.authority, "the authority")
            return PersonRenamed(
                **common, label_id=person.label_id, name=checked_text(action.name, "the name"), authority=authority
            )
        case Merge():
            return PeopleMerged(**common, **_two_people(action, decisions))
        case Remove():
            return PersonRemoved(**common, label_id=_known(decisions, action.label_id).label_id)
        case Undo():
            return DecisionUndone(**common, undone_decision_id=action.decision_id)


def _named(action: Name, decisions: Decisions) -> Person:
    if action.name is None:
        if action.label_id is None:
            raise Refusal("a name or a label id is needed to name a face", "no-name")
        return _known(decisions, action.label_id)
    known = None if action.label_id is None else decisions.person(action.label_id)
    label_id = known.label_id if known else action.label_id
    return person_to_name(checked_text(action.name, "the name"), label_id, decisions.known_labels())


def _known(decisions: Decisions, label_id: str) -> Person:
    person = decisions.person(label_id)
    if person is None:
        text = f"there is no person {label_id}: facestream people lists who was named"
        raise Refusal(text, "no-person", label_id=label_id)
    return person


def _pair(action: Link | Separate) -> dict[str, str]:
    if action.face_id == action.other_face_id:
        raise Refusal(f"both are the face {action.face_id}: give two different faces", "one-face")
    return {"face_id": action.face_id, "other_face_id": action.other_face_id}


def _two_people(action: Merge, decisions: Decisions) -> dict[str, str]:
    person, other = _known(decisions, action.label_id), _known(decisions, action.other_label_id)
    if action.label_id == action.other_label_id:
        text = f"both are {person.name} ({person.label_id}): give two different people"
        raise Refusal(text, "one-person", name=person.name)
    if person == other:
        # They were merged before, which the check reports with the decision.
        return {"label_id": action.label_id, "other_label_id": action.other_label_id}
    return {"label_id": person.label_id, "other_label_id": other.label_id}
